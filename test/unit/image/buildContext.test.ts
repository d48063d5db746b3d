import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { stageBuildContext } from "../../../components/image/buildContext.ts";

let source: string;
let destination: string;

function write(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o755 });
  return path;
}

function files(): string[] {
  const entries = readdirSync(destination, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(destination.length + 1))
    .toSorted();
}

let folder: string;

afterEach(() => {
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "build-context-"));
  [source, destination] = [join(folder, "docker"), join(folder, "build")];
  write(join(source, "Dockerfile"), "FROM scratch");
  write(join(source, "context", "README.md"), "what this is");
  write(join(source, "self-test", "model.gguf"), "GGUF");
  write(join(source, "context", "model", "of-somebody-else.gguf"), "GGUF");
});

test("the context is docker/ with the stack's own files, and nobody else's", () => {
  const model = write(join(source, "..", "mine.gguf"), "my model");
  stageBuildContext(source, destination, { model });
  expect(files()).toEqual(["Dockerfile", "context/README.md", "context/model/mine.gguf", "self-test/model.gguf"]);
  expect(readFileSync(join(destination, "context/model/mine.gguf"), "utf8")).toBe("my model");
  expect(statSync(join(destination, "Dockerfile")).mode & 0o777).toBe(0o755);
});

test("a model of gigabytes is linked, not copied", () => {
  const model = write(join(source, "..", "mine.gguf"), "my model");
  stageBuildContext(source, destination, { model });
  expect(statSync(join(destination, "context/model/mine.gguf")).ino).toBe(statSync(model).ino);
});

test("a model behind a symbolic link is the file that it leads to", () => {
  const file = write(join(source, "..", "blobs", "abc"), "my model");
  const model = join(source, "..", "linked.gguf");
  symlinkSync(join("blobs", "abc"), model);
  stageBuildContext(source, destination, { model });
  expect(lstatSync(join(destination, "context/model/linked.gguf")).ino).toBe(statSync(file).ino);
});

test("what the stack no longer has is no longer in its context", () => {
  stageBuildContext(source, destination, { model: write(join(source, "..", "old.gguf"), "old") });
  stageBuildContext(source, destination, { engine: write(join(source, "..", "engine.tar.gz"), "source") });
  expect(files()).toEqual(["Dockerfile", "context/README.md", "context/engine/engine.tar.gz", "self-test/model.gguf"]);
});

test("a model that was downloaded into the context stays there", () => {
  stageBuildContext(source, destination, {});
  write(join(destination, "context", "model", "private.gguf"), "private");
  stageBuildContext(source, destination, {}, ["private.gguf"]);
  expect(files()).toContain("context/model/private.gguf");
});

test("what has not changed is not touched: an update may be reading it while somebody previews", () => {
  const model = write(join(source, "..", "mine.gguf"), "my model");
  const inodes = () => files().map((path) => statSync(join(destination, path)).ino);
  stageBuildContext(source, destination, { model });
  const before = inodes();
  stageBuildContext(source, destination, { model });
  expect(inodes()).toEqual(before);
});

test("what has changed is replaced", () => {
  stageBuildContext(source, destination, {});
  write(join(source, "Dockerfile"), "FROM another");
  stageBuildContext(source, destination, {});
  expect(readFileSync(join(destination, "Dockerfile"), "utf8")).toBe("FROM another");
});
