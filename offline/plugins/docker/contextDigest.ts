import dockerignore from "@balena/dockerignore";
import { createHash } from "node:crypto";
import { createReadStream, type Stats } from "node:fs";
import { lstat, readFile, readdir, realpath } from "node:fs/promises";
import { join } from "node:path";

/**
 * A digest of all that a build can see: every file's name, mode and content, in the order and form in which the official
 * plugin hashes them, so that both see the same change.
 */
export async function contextDigest(directory: string, dockerfile: string): Promise<string> {
  const isIgnored = await ignoreFilter(directory, dockerfile);
  const sum = createHash("sha256");
  const add = (name: string, mode: string, digest: Buffer): void => {
    sum.update(name).update(mode).update(digest).update("\0");
  };
  add("Dockerfile", "----------", await digestOf(dockerfile));
  for (const file of await walk(directory)) {
    const path = join(directory, file);
    const stats = await lstat(path);
    if (stats.isDirectory() || isIgnored(file)) continue;
    add(file, modeText(stats), await entryDigest(path, stats));
  }
  return sum.digest("hex");
}

async function entryDigest(path: string, stats: Stats): Promise<Buffer> {
  if (stats.isSymbolicLink())
    return createHash("sha256")
      .update(await realpath(path))
      .digest();
  return stats.isFile() ? digestOf(path) : createHash("sha256").digest();
}

async function digestOf(path: string): Promise<Buffer> {
  const sum = createHash("sha256");
  for await (const chunk of createReadStream(path)) sum.update(chunk as Buffer);
  return sum.digest();
}

/** A file's mode as Go prints it: "-rw-r--r--", "Lrwxrwxrwx", "urwxr-xr-x". */
function modeText(stats: Stats): string {
  const kinds: readonly [string, boolean][] = [
    ["d", stats.isDirectory()],
    ["L", stats.isSymbolicLink()],
    ["D", stats.isBlockDevice() || stats.isCharacterDevice()],
    ["p", stats.isFIFO()],
    ["S", stats.isSocket()],
    ["u", (stats.mode & 0o4000) !== 0],
    ["g", (stats.mode & 0o2000) !== 0],
    ["c", stats.isCharacterDevice()],
    ["t", (stats.mode & 0o1000) !== 0],
  ];
  const kind = kinds.map(([letter, holds]) => (holds ? letter : "")).join("") || "-";
  return kind + Array.from("rwxrwxrwx", (letter, bit) => (stats.mode & (0o400 >> bit) ? letter : "-")).join("");
}

/** Everything below a directory, directories included, by name within each directory. */
async function walk(directory: string, below = ""): Promise<string[]> {
  const entries = await readdir(join(directory, below), { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(below, entry.name);
    found.push(path, ...(entry.isDirectory() ? await walk(directory, path) : []));
  }
  return found;
}

/** What <Dockerfile>.dockerignore, or else the context's .dockerignore, leaves out. */
async function ignoreFilter(directory: string, dockerfile: string): Promise<(path: string) => boolean> {
  const patterns =
    (await textOf(`${dockerfile}.dockerignore`)) ?? (await textOf(join(directory, ".dockerignore"))) ?? "";
  const filter = dockerignore.default({ ignorecase: false }).add(patterns);
  return (path) => filter.ignores(path);
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  });
}
