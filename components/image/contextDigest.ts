import { createHash } from "node:crypto";
import { lstatSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileDigest } from "./fileDigest.ts";

/**
 * SHA-256 of everything that a build can see of a staged context: each file's path, mode and content. The docker
 * provider uses the same three to detect a change (`hashContext` in pulumi-docker's provider/provider.go). So a tag
 * made from this digest changes when, and only when, the provider builds.
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
