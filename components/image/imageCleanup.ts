import * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { StackId } from "../stackId.ts";

/**
 * Removes the stack's images from this machine when it is destroyed: the docker provider leaves them, and their tags,
 * where they are. Whatever runs one of them has to depend on this, so that it is gone first. An image that somebody else's
 * container was made from stays.
 */
export function cleanUpImages(
  name: string,
  { hex }: StackId,
  opts?: pulumi.CustomResourceOptions,
): command.local.Command {
  return new command.local.Command(
    name,
    {
      // "true" does nothing, successfully: there is nothing to do before the end.
      create: "true",
      // It is stored in the state and may run years later: the shell and Docker's client are all that it needs. By force,
      // because an image can have several tags: its own, the registry's, and one by digest.
      delete: [
        'images=$(docker images --quiet --no-trunc --filter "label=bitnet-server.image-of=$STACK_ID")',
        'for image in $images; do test -n "$(docker ps --all --quiet --filter "ancestor=$image")" || docker rmi --force "$image"; done',
      ].join("\n"),
      interpreter: ["/bin/sh", "-ec"],
      environment: { STACK_ID: hex, ...sameEngine },
    },
    opts,
  );
}

/** Docker's client then asks the engine that DOCKER_HOST names, as Pulumi's provider does, whatever `docker context` says. */
export const sameEngine = { DOCKER_CONTEXT: "default" };
