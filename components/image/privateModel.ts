import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { basename } from "node:path";

export interface PrivateModelArgs {
  url: string;
  /** An access token; becomes a Pulumi secret. */
  token: string;
  /** The file to write, named by `privateModelName`. */
  destination: string;
}

/** A file name that changes with the URL. */
export function privateModelName(url: string): string {
  return `${createHash("sha256").update(url).digest("hex").slice(0, 12)}-${basename(new URL(url).pathname)}`;
}

/**
 * Downloads a gated or private model on this machine, into the build context: docker.Image has no build secrets, and a
 * build argument would leave the token in the image's history. The rules are those of every other download
 * (docker/server/build/download.sh). curl gets the token on standard input, so no process list shows it.
 */
export function downloadPrivateModel(
  name: string,
  { url, token, destination }: PrivateModelArgs,
  opts: pulumi.CustomResourceOptions,
): command.local.Command {
  // The build context may be removed at any time. Without the file, a new trigger downloads it anew, once there is
  // nothing left that `delete` would take away; with it, whatever triggered it last stays.
  const isThere = existsSync(destination);
  return new command.local.Command(
    name,
    {
      create: "sh commands/downloadModel.sh",
      // Kept in the state: it has to work years later, in any checkout.
      delete: 'rm -f "$DESTINATION" "$DESTINATION".part "$DESTINATION".part.*',
      triggers: [randomUUID()],
      interpreter: ["/bin/sh", "-ec"],
      environment: { MODEL_URL: url, DESTINATION: destination },
      stdin: pulumi.secret(`header = "Authorization: Bearer ${token}"\n`),
    },
    { ...opts, deleteBeforeReplace: true, ignoreChanges: isThere ? ["triggers"] : [] },
  );
}
