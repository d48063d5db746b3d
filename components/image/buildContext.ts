import dockerignore from "@balena/dockerignore";
import type { Stats } from "node:fs";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { buildFolder } from "./buildFolder.ts";
import { fileDigest } from "./fileDigest.ts";

/** Files of this machine that a build needs: `context/<kind>/<name>` in the build context, by kind. */
export type LocalFiles = Partial<Record<"model" | "engine", string>>;

/** Where a stack's build context for an image is: no other stack's files count as a change of it. */
export function contextFolder(stack: string, image: string): string {
  return join(buildFolder(stack), image);
}

/**
 * Lays out a build context in a folder of its own: of a folder of docker/ what its .dockerignore does not leave out, and
 * the model and the engine's source, linked in where they are files of this machine. Copies have the same modes whatever
 * the checkout's are, so that equal content is an equal context. What is right already stays untouched, because an update
 * may be reading it; what is not is replaced as a whole, so that a reader sees the old file or the new one.
 * @param kept the name of a file in `context/model/` that was downloaded there; it stays, with what a download goes on from
 */
export function stageBuildContext(source: string, destination: string, files: LocalFiles = {}, kept?: string): void {
  const ours = filesOf(source);
  const given = Object.entries(files).map(([kind, path]) => ({
    from: path,
    to: join("context", kind, basename(path)),
  }));
  const wanted = new Set([...ours, ...given.map(({ to }) => to)]);
  const isKept = (path: string) => kept !== undefined && path.startsWith(join("context", "model", kept));

  makeFolder(destination);
  for (const path of filesBelow(destination)) {
    if (!wanted.has(path) && !isKept(path)) rmSync(join(destination, path));
  }
  // Beside the context: whatever lies in it, even for a moment, is a part of it.
  const part = `${destination}.${process.pid}.tmp`;
  for (const path of ours) copy(join(source, path), join(destination, path), part);
  for (const { from, to } of given) linkOrCopy(realpathSync(from), join(destination, to), part);
}

/** What a build sees of a folder: files that lie in it for other builds (`context/model/…`) are theirs. */
function filesOf(source: string): string[] {
  const ignoreFile = join(source, ".dockerignore");
  const patterns = existsSync(ignoreFile) ? readFileSync(ignoreFile, "utf8") : "";
  const filter = dockerignore.default({ ignorecase: false }).add(patterns);
  const others = ["model", "engine"].map((kind) => join("context", kind));
  return filesBelow(source).filter(
    (path) => path === "Dockerfile" || (!filter.ignores(path) && !others.includes(dirname(path))),
  );
}

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
}

function copy(from: string, to: string, part: string): void {
  const there = statSync(to, { throwIfNoEntry: false });
  if (there !== undefined && hasMode(there, fileMode) && fileDigest(from) === fileDigest(to)) return;
  copyFileSync(from, part);
  chmodSync(part, fileMode);
  moveInto(part, to);
}

/** A link costs neither time nor disk, but needs the same file system. */
function linkOrCopy(from: string, to: string, part: string): void {
  const [is, was] = [statSync(from), statSync(to, { throwIfNoEntry: false })];
  if (was !== undefined && was.ino === is.ino && was.dev === is.dev) return;
  try {
    linkSync(from, part);
  } catch {
    copy(from, to, part);
    return;
  }
  moveInto(part, to);
}

/** The Dockerfiles set the modes of what they copy, so that these only have to be readable, and the same everywhere. */
const [fileMode, folderMode] = [0o644, 0o755];

function hasMode({ mode }: Stats, wanted: number): boolean {
  return (mode & 0o777) === wanted;
}

function moveInto(part: string, path: string): void {
  makeFolder(dirname(path));
  renameSync(part, path);
}

function makeFolder(path: string): void {
  if (!existsSync(path)) {
    makeFolder(dirname(path));
    mkdirSync(path);
    chmodSync(path, folderMode);
  }
}
