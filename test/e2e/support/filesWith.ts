import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** Which of the files and of the folders' files have a text in them. */
export async function filesWith(text: string, paths: readonly string[]): Promise<string[]> {
  const files = (await Promise.all(paths.map(filesIn))).flat();
  const found = await Promise.all(files.map(async (file) => (await readFile(file)).includes(text)));
  return files.filter((_, index) => found[index]);
}

async function filesIn(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}
