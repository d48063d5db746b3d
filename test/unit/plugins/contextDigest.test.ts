import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { contextDigest } from "../../../offline/plugins/docker/contextDigest.ts";

let folder: string;
const write = async (name: string, text: string, mode = 0o644) => {
  await writeFile(join(folder, name), text);
  await chmod(join(folder, name), mode);
};
const digest = () => contextDigest(folder, join(folder, "Dockerfile"));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "context-"));
  await mkdir(join(folder, "sub"));
  await write(".dockerignore", "*.log\n**/*.log\n!keep.log\n");
  await write("Dockerfile", "FROM scratch\n");
  await write("a.txt", "one\n");
  await write("B.txt", "B");
  await write("keep.log", "yes\n");
  await write("sub/b.sh", "two\n", 0o755);
  await write("sub/c.log", "no\n");
  return () => rm(folder, { recursive: true });
});

test("a context has the digest that pulumi-docker 5.0.0 computes for it", async () => {
  // Printed by `pulumi preview --diff` with the official plugin for these very files.
  expect(await digest()).toBe("46ae0ac0168a95d9b6869ce6b941345488bd04242bfbbd15dc26e5c258f780b9");
});

test.for([
  ["a changed file", () => write("a.txt", "two\n")],
  ["a changed mode", () => chmod(join(folder, "a.txt"), 0o755)],
  ["a new file", () => write("sub/new", "")],
  ["a changed Dockerfile", () => write("Dockerfile", "FROM debian\n")],
] as const)("%s makes another digest", async ([, change]) => {
  const before = await digest();
  await change();
  expect(await digest()).not.toBe(before);
});

test("an ignored file makes none", async () => {
  const before = await digest();
  await write("sub/c.log", "changed");
  expect(await digest()).toBe(before);
});
