import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fileDigest } from "../../../components/image/fileDigest.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "digest-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const memory = ".build/digests.json";
const sum = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

test("a large file is read once, and again after every write, even one that sets its time back", async () => {
  const path = join(folder, "model.gguf");
  writeFileSync(path, Buffer.alloc(17 * 2 ** 20, 1));
  await sleep(2_500); // the file has to have been left alone for a while
  expect(fileDigest(path)).toBe(sum(path));

  const { dev, ino, atime, mtime } = statSync(path);
  const remembered = JSON.parse(readFileSync(memory, "utf8")) as Record<string, { digest: string }>;
  const entry = remembered[`${dev}:${ino}`];
  expect(entry?.digest).toBe(sum(path));
  if (entry !== undefined) entry.digest = "remembered";
  writeFileSync(memory, JSON.stringify(remembered));
  expect(fileDigest(path)).toBe("remembered");

  writeFileSync(path, Buffer.alloc(17 * 2 ** 20, 2));
  utimesSync(path, atime, mtime);
  expect(fileDigest(path)).toBe(sum(path));
});

test("a large file that was just written is not remembered: it may be written again within one tick of the clock", () => {
  const path = join(folder, "model.gguf");
  writeFileSync(path, Buffer.alloc(17 * 2 ** 20, 3));
  fileDigest(path);
  const { dev, ino } = statSync(path);
  const remembered = (() => {
    try {
      return JSON.parse(readFileSync(memory, "utf8")) as Record<string, { digest: string }>;
    } catch {
      return {};
    }
  })();
  expect(remembered[`${dev}:${ino}`]?.digest).not.toBe(sum(path));
});
