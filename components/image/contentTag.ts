import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { join, relative } from "node:path";

/**
 * A tag that no image has had, for registries whose tags are immutable: it stays while what is built stays, and is new
 * after every change, a change back to an earlier state included. Handed to the build as TAG, which becomes a label, it
 * makes the image's digest as new as the tag.
 * @param kind what the image is, as the tag's beginning
 */
export function contentTag(
  name: string,
  kind: string,
  context: string,
  buildArgs: Readonly<Record<string, string>>,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const content = contentHash(context, buildArgs);
  const id = new random.RandomId(`${name}-tag`, { byteLength: 8, keepers: { content } }, opts);
  return pulumi.interpolate`${kind}-${id.hex}`;
}

/** SHA-256 of a build's arguments and of every file in its context, with its path. */
export function contentHash(context: string, buildArgs: Readonly<Record<string, string>>): string {
  const hash = createHash("sha256").update(JSON.stringify(Object.entries(buildArgs).toSorted()));
  const entries = readdirSync(context, { withFileTypes: true, recursive: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.toSorted()) {
    hash.update(`\0${relative(context, path)}\0`);
    // In parts: a model is larger than what a buffer may be.
    const file = openSync(path, "r");
    const part = Buffer.alloc(2 ** 20);
    for (let size = readSync(file, part); size > 0; size = readSync(file, part)) hash.update(part.subarray(0, size));
    closeSync(file);
  }
  return hash.digest("hex");
}
