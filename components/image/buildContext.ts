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

/** Files on this machine that a build needs, by kind: `context/<kind>/<name>` in the build context. */
export type LocalFiles = Partial<Record<"model" | "engine", string>>;

/**
 * The folder of a stack's build context for an image. Each stack has its own, so other stacks' files do not change it.
 */
export function contextFolder(stack: string, image: string): string {
  return join(buildFolder(stack), image);
}

/**
 * Lays out a build context in its own folder. It contains a folder of docker/, minus what its .dockerignore excludes,
 * and links to the model and the engine's source if they are files on this machine. Copies have the same modes whatever
 * the checkout's are, so equal content makes an equal context. What is already right stays untouched, because an update
 * may be reading it; the rest is replaced as a whole, so that a reader sees either the old file or the new one.
 * @param kept the name of a file in `context/model/` that was downloaded there; it stays, along with what a download
 *   resumes from
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
  // Beside the context: anything inside it, even for a moment, is part of it.
  const part = `${destination}.${process.pid}.tmp`;
  // A killed process with the same id may have left a link to a model there.
  rmSync(part, { force: true });
  for (const path of ours) copy(join(source, path), join(destination, path), part);
  for (const { from, to } of given) linkOrCopy(realpathSync(from), join(destination, to), part);
}

/** What a build sees of a folder. Files that are there for other builds (`context/model/…`) are excluded. */
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

/** A link costs neither time nor disk space, but needs the same file system. */
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

/** The Dockerfiles set the modes of what they copy, so these only have to be readable and the same everywhere. */
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
