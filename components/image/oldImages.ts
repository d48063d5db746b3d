import * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { StackId } from "../stackId.ts";
import { sameEngine } from "./imageCleanup.ts";

export interface OldImagesArgs {
  stackId: StackId;
  /** The server image that is running now, by digest. */
  image: pulumi.Input<string>;
  /** The container of the stack's own registry. Undefined: the registry is external, and its content stays. */
  registry: pulumi.Input<string> | undefined;
}

/**
 * Removes the images that earlier updates have left, after a successful update: see commands/removeOldImages.ts. The
 * current and the previous image stay. It depends on the smoke test, so a new image has answered first.
 */
export function removeOldImages(
  name: string,
  { stackId, image, registry }: OldImagesArgs,
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  return new command.local.Command(
    name,
    {
      // It prints what it has kept, and Pulumi passes that to the next run as PULUMI_COMMAND_STDOUT.
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
