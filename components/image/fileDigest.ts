import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { closeSync, mkdirSync, openSync, readFileSync, readSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";

/** Bytes from which on a file's digest is remembered: a model is gigabytes, which every run would read again. */
const large = 16 * 2 ** 20;
const memory = join(".build", "digests.json");
/** Whoever writes to a file changes the time of its last change; two changes within one tick of the clock have the same. */
const settledAfter = 2_000_000_000n;

const rememberedFiles = z.record(z.string(), z.object({ state: z.string(), digest: z.string() }));
type RememberedFiles = z.infer<typeof rememberedFiles>;

/** SHA-256 of a file's content. Of a large file that has not changed since, what was computed before. */
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

/** No program can set the time of a file's last change (ctime) but the kernel, which does so at every write. */
function stateOf({ size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [size, mtimeNs, ctimeNs].join(" ");
}

function compute(path: string): string {
  const hash = createHash("sha256");
  // In parts: a model is larger than what a buffer may be.
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
    return {}; // not there yet, or damaged: then everything is read
  }
}

function remember(files: RememberedFiles): void {
  mkdirSync(dirname(memory), { recursive: true });
  const part = `${memory}.${process.pid}.tmp`;
  writeFileSync(part, JSON.stringify(files));
  renameSync(part, memory);
}
