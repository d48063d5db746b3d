import { COPYFILE_FICLONE } from "node:constants";
import { cpSync, linkSync, mkdirSync, readdirSync, realpathSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";

/** Files of this machine that a build needs: `context/<kind>/<name>` in the build context, by kind. */
export type LocalFiles = Partial<Record<"model" | "engine", string>>;

/**
 * Lays out a stack's build context: a copy of docker/server/, with the model and the engine's source linked in where they are
 * files of this machine. A folder of its own for each stack, because whatever lies in it is sent to the Docker Engine
 * and counts as a change of the image. What is there already stays untouched: an update may be reading it. So do files
 * under `context/` that `keep` names: they were downloaded into it.
 */
export function stageBuildContext(source: string, destination: string, files: LocalFiles, keep: string[] = []): void {
  const others = ["model", "engine"].map((kind) => join("context", kind));
  const ours = filesIn(source).filter((path) => !others.includes(dirname(path)));
  const given = Object.entries(files).map(([kind, path]) => ({
    from: path,
    to: join("context", kind, basename(path)),
  }));

  const wanted = [...ours, ...given.map(({ to }) => to)];
  mkdirSync(destination, { recursive: true });
  for (const path of filesIn(destination)) {
    if (!wanted.includes(path) && !keep.includes(basename(path))) rmSync(join(destination, path));
  }
  for (const path of ours) place(join(source, path), join(destination, path), copy);
  for (const { from, to } of given) place(from, join(destination, to), linkOrCopy);
}

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
}

function place(from: string, to: string, put: (file: string, to: string) => void): void {
  // Of a symbolic link, its file is what counts.
  const file = realpathSync(from);
  const [is, was] = [statSync(file), statSync(to, { throwIfNoEntry: false })];
  if (was !== undefined && (was.ino === is.ino || (was.size === is.size && was.mtimeMs === is.mtimeMs))) return;
  rmSync(to, { force: true });
  mkdirSync(dirname(to), { recursive: true });
  put(file, to);
}

function copy(file: string, to: string): void {
  cpSync(file, to, { mode: COPYFILE_FICLONE, preserveTimestamps: true });
}

/** A link costs neither time nor disk, but needs the same file system. */
function linkOrCopy(file: string, to: string): void {
  try {
    linkSync(file, to);
  } catch {
    copy(file, to);
  }
}
