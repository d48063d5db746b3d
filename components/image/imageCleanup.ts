import * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { StackId } from "../stackId.ts";

/**
 * Removes the stack's images from this machine when the stack is destroyed, because the docker provider leaves them and
 * their tags behind. Whatever runs one of them has to depend on this, so that it is removed first. An image stays if a
 * container outside the stack was created from it.
 */
export function cleanUpImages(
  name: string,
  { hex }: StackId,
  opts?: pulumi.CustomResourceOptions,
): command.local.Command {
  return new command.local.Command(
    name,
    {
      // "true" succeeds without doing anything: there is nothing to do before the end.
      create: "true",
      // The command's text is stored in the state and may run years later, so it needs only the shell and Docker's
      // client.
      delete: readFileSync(join("commands", "removeImages.sh"), "utf8"),
      interpreter: ["/bin/sh", "-ec"],
      environment: { STACK_ID: hex, ...sameEngine },
    },
    opts,
  );
}

/**
 * Makes Docker's client use the engine that DOCKER_HOST names, as Pulumi's provider does, whatever `docker context`
 * says.
 */
export const sameEngine = { DOCKER_CONTEXT: "default" };
