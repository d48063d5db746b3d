import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** @returns every executable of that name on PATH, in PATH's order */
export function onPath(name: string, path = process.env["PATH"] ?? ""): string[] {
  return path
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .filter(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
