import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { basename } from "node:path";

export interface PrivateModelArgs {
  url: string;
  /** An access token; becomes a Pulumi secret. */
  token: string;
  /** The file to write, of the name that `privateModelName` gives. */
  destination: string;
}

/** A file name that changes with the URL. */
export function privateModelName(url: string): string {
  return `${createHash("sha256").update(url).digest("hex").slice(0, 12)}-${basename(new URL(url).pathname)}`;
}

/**
 * Downloads a gated or private model on this machine, into the build context: docker.Image has no build secrets, and a
 * build argument would leave the token in the image's history. curl resumes and retries; it gets the token by standard
 * input, so that no process list shows it, and sends it to no other host that the URL redirects to.
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
      create: [
        'mkdir -p "$(dirname "$DESTINATION")"',
        // Every ten seconds a line: curl's own meter is one that never ends.
        'while sleep 10 >/dev/null 2>&1; do echo "$(du -h "$DESTINATION.part" 2>/dev/null | cut -f1) so far"; done & meter=$!',
        "trap 'kill $meter' EXIT",
        'test -f "$DESTINATION" || curl --fail --silent --show-error --location --retry 5 --retry-all-errors \\',
        '  --continue-at - --config - --output "$DESTINATION.part" "$URL" || failed=$?',
        // Such a server cannot resume, or has another file by now: the next update starts over.
        'if [ "${failed-0}" = 33 ]; then rm "$DESTINATION.part"; fi',
        'if [ "${failed-0}" != 0 ]; then exit "$failed"; fi',
        'test -f "$DESTINATION" || mv "$DESTINATION.part" "$DESTINATION"',
      ].join("\n"),
      delete: 'rm -f "$DESTINATION" "$DESTINATION.part"',
      triggers: [randomUUID()],
      interpreter: ["/bin/sh", "-ec"],
      environment: { URL: url, DESTINATION: destination },
      stdin: pulumi.secret(`header = "Authorization: Bearer ${token}"\n`),
    },
    { ...opts, deleteBeforeReplace: true, ignoreChanges: isThere ? ["triggers"] : [] },
  );
}
