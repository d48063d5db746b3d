import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { stageBuildContext } from "../../../components/image/buildContext.ts";
import { contextDigest } from "../../../components/image/contextDigest.ts";
import { contextDigest as providersDigest } from "../../../offline/plugins/docker/contextDigest.ts";

let folder: string;
let source: string;
let destination: string;

function write(path: string, text: string, mode = 0o755): string {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  writeFileSync(path, text, { mode });
  return path;
}

function files(): string[] {
  const entries = readdirSync(destination, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(destination.length + 1))
    .toSorted();
}

/** When each file, its name or its mode was last changed: nobody but the kernel can set that time. */
const changes = () => files().map((path) => [path, statSync(join(destination, path), { bigint: true }).ctimeNs]);

afterEach(() => {
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "build-context-"));
  [source, destination] = [join(folder, "docker"), join(folder, "build")];
  write(join(source, ".dockerignore"), ".dockerignore\nDockerfile\ncompose.yaml\ncontext/README.md\n");
  write(join(source, "Dockerfile"), "FROM scratch");
  write(join(source, "compose.yaml"), "services: {}");
  write(join(source, "context", "README.md"), "what this is");
  write(join(source, "build", "run.sh"), "#!/bin/sh\n");
  write(join(source, "self-test", "model.gguf"), "GGUF", 0o600);
  write(join(source, "context", "model", "of-somebody-else.gguf"), "GGUF");
});

const model = () => write(join(folder, "mine.gguf"), "my model");

test("the context is what a build needs of a folder, with the stack's own files, and nobody else's", () => {
  stageBuildContext(source, destination, { model: model() });
  expect(files()).toEqual(["Dockerfile", "build/run.sh", "context/model/mine.gguf", "self-test/model.gguf"]);
  expect(readFileSync(join(destination, "context/model/mine.gguf"), "utf8")).toBe("my model");
});

test("its modes are the same, whatever the checkout's and the umask are", () => {
  const before = process.umask(0o077);
  try {
    stageBuildContext(source, destination);
  } finally {
    process.umask(before);
  }
  const modes = [".", ...readdirSync(destination, { recursive: true, encoding: "utf8" })].map((path) => {
    const stats = statSync(join(destination, path));
    return [stats.isDirectory(), stats.mode & 0o777];
  });
  expect(new Set(modes.map((mode) => mode.join()))).toEqual(new Set([[true, 0o755].join(), [false, 0o644].join()]));
});

test("a model of gigabytes is linked, not copied", () => {
  const path = model();
  stageBuildContext(source, destination, { model: path });
  expect(statSync(join(destination, "context/model/mine.gguf")).ino).toBe(statSync(path).ino);
});

test("a model behind a symbolic link is the file that it leads to", () => {
  const file = write(join(folder, "blobs", "abc"), "my model");
  const link = join(folder, "linked.gguf");
  symlinkSync(join("blobs", "abc"), link);
  stageBuildContext(source, destination, { model: link });
  expect(lstatSync(join(destination, "context/model/linked.gguf")).ino).toBe(statSync(file).ino);
});

test("what the stack no longer has is no longer in its context", () => {
  stageBuildContext(source, destination, { model: write(join(folder, "old.gguf"), "old") });
  stageBuildContext(source, destination, { engine: write(join(folder, "engine.tar.gz"), "source") });
  expect(files()).toEqual(["Dockerfile", "build/run.sh", "context/engine/engine.tar.gz", "self-test/model.gguf"]);
});

test("a model that was downloaded into the context stays there, and so does what its download goes on from", () => {
  stageBuildContext(source, destination);
  write(join(destination, "context", "model", "private.gguf.part.headers"), "private");
  stageBuildContext(source, destination, {}, "private.gguf");
  expect(files()).toContain("context/model/private.gguf.part.headers");
});

test("what is right already is not touched: an update may be reading it while somebody previews", () => {
  const path = model();
  stageBuildContext(source, destination, { model: path });
  const before = changes();
  stageBuildContext(source, destination, { model: path });
  expect(changes()).toEqual(before);
});

test("what has changed is replaced as a whole: who is reading it reads the old file to its end", () => {
  stageBuildContext(source, destination);
  const reader = join(folder, "reader");
  linkSync(join(destination, "Dockerfile"), reader);
  write(join(source, "Dockerfile"), "FROM another");
  stageBuildContext(source, destination);
  expect(readFileSync(join(destination, "Dockerfile"), "utf8")).toBe("FROM another");
  expect(readFileSync(reader, "utf8")).toBe("FROM scratch");
});

test("another content of the same length and time is seen", () => {
  stageBuildContext(source, destination);
  const staged = statSync(join(destination, "Dockerfile"));
  utimesSync(write(join(source, "Dockerfile"), "FROM sCratch"), staged.atime, staged.mtime);
  stageBuildContext(source, destination);
  expect(staged.size).toBe(statSync(join(destination, "Dockerfile")).size);
  expect(readFileSync(join(destination, "Dockerfile"), "utf8")).toBe("FROM sCratch");
});

test.each<[string, "stays" | "changes", () => void]>([
  ["a comment in compose.yaml", "stays", () => write(join(source, "compose.yaml"), "services: {} # mine")],
  ["another README", "stays", () => write(join(source, "context", "README.md"), "more")],
  [
    "a chmod in the checkout",
    "stays",
    () => {
      chmodSync(join(source, "build", "run.sh"), 0o600);
    },
  ],
  ["another model in the checkout", "stays", () => write(join(source, "context", "model", "another.gguf"), "GGUF")],
  ["a script's last byte", "changes", () => write(join(source, "build", "run.sh"), "#!/bin/sh\t")],
  [
    "a script's name",
    "changes",
    () => {
      rmSync(join(source, "build", "run.sh"));
      write(join(source, "build", "go.sh"), "#!/bin/sh\n");
    },
  ],
  ["a new script", "changes", () => write(join(source, "build", "new.sh"), "")],
  ["another Dockerfile", "changes", () => write(join(source, "Dockerfile"), "FROM debian")],
  ["a model's content", "changes", () => write(join(folder, "mine.gguf"), "My model")],
  [
    "a model's mode, which is the user's",
    "changes",
    () => {
      chmodSync(join(folder, "mine.gguf"), 0o600);
    },
  ],
])("after %s the digest %s, and so does the provider's", async (_, what, change) => {
  const both = async () => {
    stageBuildContext(source, destination, { model: join(folder, "mine.gguf") });
    return [contextDigest(destination), await providersDigest(destination, join(destination, "Dockerfile"))];
  };
  model();
  const [ours, theirs] = await both();
  change();
  const [oursAfter, theirsAfter] = await both();
  expect([oursAfter === ours, theirsAfter === theirs]).toEqual(what === "stays" ? [true, true] : [false, false]);
});
