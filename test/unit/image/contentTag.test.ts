import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { contentHash } from "../../../components/image/contentTag.ts";

let context: string;
beforeEach(() => {
  context = mkdtempSync(join(tmpdir(), "context-"));
  mkdirSync(join(context, "build"));
  writeFileSync(join(context, "Dockerfile"), "FROM scratch\n");
  // Larger than what is read at once.
  writeFileSync(join(context, "build", "model.gguf"), Buffer.alloc(2 ** 21 + 7, 1));
});
afterEach(() => {
  rmSync(context, { recursive: true });
});

const hash = (args: Record<string, string> = { ENGINE: "bitnet.cpp", STACK: "prod" }) => contentHash(context, args);

test("the same content has the same hash, in whatever order the arguments come", () => {
  expect(hash({ STACK: "prod", ENGINE: "bitnet.cpp" })).toBe(hash());
});

test.each<[string, () => void]>([
  [
    "a file's last byte",
    () => {
      writeFileSync(
        join(context, "build", "model.gguf"),
        Buffer.concat([Buffer.alloc(2 ** 21 + 6, 1), Buffer.alloc(1)]),
      );
    },
  ],
  [
    "a file's name",
    () => {
      renameSync(join(context, "Dockerfile"), join(context, "Containerfile"));
    },
  ],
  [
    "a new file",
    () => {
      writeFileSync(join(context, "build", "new"), "");
    },
  ],
])("%s changes it", (_, change) => {
  const before = hash();
  change();
  expect(hash()).not.toBe(before);
});

test("an argument changes it", () => {
  expect(hash({ ENGINE: "bitnet.cpp", STACK: "dev" })).not.toBe(hash());
});

test("the tag is in the image itself, so that its digest is a new one even where its content is an old one", () => {
  const dockerfile = readFileSync(new URL("../../../docker/server/Dockerfile", import.meta.url), "utf8");
  const lastStage = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
  expect(lastStage).toMatch(/^ARG TAG=$/m);
  expect(lastStage).toMatch(/^LABEL .*\bbitnet-server\.tag=\$TAG\b/m);
});
