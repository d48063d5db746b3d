import * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { StackId } from "../stackId.ts";
import { sameEngine } from "./imageCleanup.ts";

export interface OldImagesArgs {
  stackId: StackId;
  /** The server's image that runs now, by digest. */
  image: pulumi.Input<string>;
  /** The container of the stack's own registry; undefined: the registry is somebody else's, and what is in it stays. */
  registry: pulumi.Input<string> | undefined;
}

/**
 * Removes the images that earlier updates have left, after an update that went well: see commands/removeOldImages.ts.
 * The one that runs and the one before it stay. It depends on the smoke test, so that a new image has answered first.
 */
export function removeOldImages(
  name: string,
  { stackId, image, registry }: OldImagesArgs,
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  return new command.local.Command(
    name,
    {
      // It prints what it has kept, and Pulumi hands that to the next run as PULUMI_COMMAND_STDOUT.
      create: "node commands/removeOldImages.ts",
      environment: {
        STACK_ID: stackId.hex,
        IMAGE: image,
        ...(registry === undefined ? {} : { REGISTRY: registry }),
        ...sameEngine,
      },
      logging: "stderr",
    },
    opts,
  );
}
