import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { closeSync, mkdirSync, openSync, readFileSync, readSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";

/** Minimum file size, in bytes, for remembering a digest: a model has gigabytes, which every run would read again. */
const large = 16 * 2 ** 20;
const memory = join(".build", "digests.json");
/** Writing to a file changes its ctime, but two changes within one tick of the clock get the same ctime. */
const settledAfter = 2_000_000_000n;

const rememberedFiles = z.record(z.string(), z.object({ state: z.string(), digest: z.string() }));
type RememberedFiles = z.infer<typeof rememberedFiles>;

/** SHA-256 of a file's content. For a large file that has not changed since, the earlier result is used. */
export function fileDigest(path: string): string {
  const stats = statSync(path, { bigint: true });
  if (stats.size < large) return compute(path);
  const key = `${stats.dev}:${stats.ino}`;
  const state = stateOf(stats);
  const known = recall()[key];
  if (known?.state === state) return known.digest;
  const isSettled = BigInt(Date.now()) * 1_000_000n - stats.ctimeNs > settledAfter;
  const digest = compute(path);
  if (isSettled) remember({ ...recall(), [key]: { state, digest } });
  return digest;
}

/** Only the kernel sets the time of a file's last change (ctime), at every write; no program can. */
function stateOf({ size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [size, mtimeNs, ctimeNs].join(" ");
}

function compute(path: string): string {
  const hash = createHash("sha256");
  // In parts: a model is larger than the maximum size of a buffer.
  const file = openSync(path, "r");
  try {
    const part = Buffer.alloc(2 ** 20);
    for (let size = readSync(file, part); size > 0; size = readSync(file, part)) hash.update(part.subarray(0, size));
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}

function recall(): RememberedFiles {
  try {
    return rememberedFiles.parse(JSON.parse(readFileSync(memory, "utf8")));
  } catch {
    return {}; // missing or damaged: then everything is read
  }
}

function remember(files: RememberedFiles): void {
  mkdirSync(dirname(memory), { recursive: true });
  const part = `${memory}.${process.pid}.tmp`;
  writeFileSync(part, JSON.stringify(files));
  renameSync(part, memory);
}
