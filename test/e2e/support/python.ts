import { execa } from "execa";
import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * Installs a Python package into a folder of its own, once.
 * @param requirement with its version, such as `openai==3.57.0`
 * @returns the folder of its programs, `python` among them
 */
export async function pythonWith(requirement: string): Promise<string> {
  const folder = join(".tools", "python", requirement.replaceAll(/[^\w.]+/g, "-"));
  const [programs, installed] = [join(folder, "bin"), join(folder, "installed")];
  if (existsSync(installed)) return programs;
  await execa("python3", ["-m", "venv", folder]);
  await execa(join(programs, "pip"), ["install", "--quiet", "--disable-pip-version-check", requirement]);
  await execa("touch", [installed]);
  return programs;
}
