import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { execa } from "execa";
import { create, extract } from "tar";
import { checkout, tools } from "../cli/paths.ts";
import type { Progress } from "../cli/progress.ts";

/** The engineRepo of the stack `offline`. */
export const engineSource = ".tools/engine/ik_llama.cpp.tar.gz";

/** The folder of the engine's source in the sdist. */
const inside = "vendor/ik_llama.cpp";

/**
 * Creates {@link engineSource} if it does not exist: the source of ik_llama.cpp from the PyPI sdist ik-llama-cpp-python, as
 * a tarball with one top-level folder. Its bytes are always the same, so Docker's build cache stays valid.
 */
export async function ensureEngineSource(progress: Progress): Promise<void> {
  const tarball = join(checkout, engineSource);
  if (existsSync(tarball)) return;
  await progress.run("engine source: ik_llama.cpp out of PyPI's ik-llama-cpp-python", async () => {
    await mkdir(dirname(tarball), { recursive: true });
    const folder = await mkdtemp(join(tools, "engine", "sdist-"));
    try {
      await repack(folder);
      await rename(join(folder, "engine.tar.gz"), tarball);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

async function repack(folder: string): Promise<void> {
  const requirements = join(import.meta.dirname, "engine-requirements.txt");
  const exactly = ["--no-deps", "--no-binary", "ik-llama-cpp-python", "--require-hashes", "-r", requirements];
  await execa("python3", ["-m", "pip", "download", "--disable-pip-version-check", ...exactly, "-d", "."], {
    cwd: folder,
  });
  const sdist = "ik_llama_cpp_python-0.1.5";
  await extract({
    file: join(folder, `${sdist}.tar.gz`),
    cwd: folder,
    filter: (path) => path.startsWith(`${sdist}/${inside}/`),
  });

  const vendor = join(folder, sdist, dirname(inside));
  const cmake = join(vendor, basename(inside), "common", "cmake");
  await mkdir(cmake, { recursive: true });
  await copyFile(join(import.meta.dirname, "build-info-gen-cpp.cmake"), join(cmake, "build-info-gen-cpp.cmake"));

  const entries = await readdir(join(vendor, basename(inside)), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  const paths = files.map(({ parentPath, name }) => relative(vendor, join(parentPath, name))).toSorted();
  // No times and no owners, so that the bytes are always the same.
  const reproducible = { gzip: true, portable: true, mtime: new Date(0), noDirRecurse: true };
  await create({ ...reproducible, cwd: vendor, file: join(folder, "engine.tar.gz") }, paths);
}
