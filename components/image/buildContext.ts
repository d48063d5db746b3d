import { COPYFILE_FICLONE } from "node:constants";
import { copyFileSync, cpSync, existsSync, linkSync, mkdirSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { basename, join } from "node:path";

/** Files of this machine that a build needs: `context/<kind>/<name>` in the build context, by kind. */
export type LocalFiles = Partial<Record<"model" | "engine", string>>;

/**
 * Lays out a stack's build context: a copy of docker/, with the model and the engine's source linked in where they are
 * files of this machine. A folder of its own for each stack, because whatever lies in it is sent to the Docker Engine
 * and counts as a change of the image. Files under `context/` that `keep` names stay: they were downloaded into it.
 */
export function stageBuildContext(source: string, destination: string, files: LocalFiles, keep: string[] = []): void {
  clear(destination, keep);
  const others = ["model", "engine"].map((kind) => join(source, "context", kind));
  cpSync(source, destination, { recursive: true, filter: (path) => !others.includes(path) });
  for (const [kind, path] of Object.entries(files)) {
    const folder = join(destination, "context", kind);
    mkdirSync(folder, { recursive: true });
    linkOrCopy(path, join(folder, basename(path)));
  }
}

function clear(destination: string, keep: string[]): void {
  if (!existsSync(destination)) {
    return;
  }
  for (const entry of readdirSync(destination, { withFileTypes: true, recursive: true })) {
    if (!entry.isDirectory() && !keep.includes(entry.name)) {
      rmSync(join(entry.parentPath, entry.name));
    }
  }
}

/** A link costs neither time nor disk, but needs the same file system. Of a symbolic link, its file is what counts. */
function linkOrCopy(from: string, to: string): void {
  const file = realpathSync(from);
  try {
    linkSync(file, to);
  } catch {
    copyFileSync(file, to, COPYFILE_FICLONE);
  }
}
