import { createHash } from "node:crypto";
import { lstatSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileDigest } from "./fileDigest.ts";

/**
 * SHA-256 of all that a build can see of a staged context: each file's path, mode and content. The docker provider takes
 * a build for changed by the same three (`hashContext` in pulumi-docker's provider/provider.go), so that a tag made of
 * this changes when, and only when, the provider builds.
 */
export function contextDigest(folder: string): string {
  const hash = createHash("sha256");
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.toSorted()) {
    const mode = (lstatSync(path).mode & 0o7777).toString(8);
    hash.update([relative(folder, path), mode, fileDigest(path), ""].join("\0"));
  }
  return hash.digest("hex");
}
