import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

/**
 * Removes the stack's images from this machine when it is destroyed: the docker provider leaves them, and their tags,
 * where they are. Whatever runs one of them has to depend on this, so that it is gone first.
 */
export function cleanUpImages(name: string, opts?: pulumi.CustomResourceOptions): command.local.Command {
  return new command.local.Command(
    name,
    {
      // "true" does nothing, successfully: there is nothing to do before the end.
      create: "true",
      delete: "node components/image/removeImages.ts",
      environment: { STACK: pulumi.getStack() },
    },
    opts,
  );
}
