import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { checkout, tools } from "../cli/paths.ts";
import type { Progress } from "../cli/progress.ts";

/** What the stack `offline` names as its engineRepo. */
export const engineSource = ".tools/engine/ik_llama.cpp.tar.gz";

/** Where the sdist has the engine's source. */
const inside = "vendor/ik_llama.cpp";

/**
 * Makes {@link engineSource} unless it is there: the source of ik_llama.cpp out of the PyPI sdist ik-llama-cpp-python, as
 * a tarball with one top-level folder. The same bytes each time, so that Docker's build cache holds.
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
  await execa("tar", ["-xzf", `${sdist}.tar.gz`, `${sdist}/${inside}`], { cwd: folder });

  const source = join(folder, sdist, inside);
  await mkdir(join(source, "common", "cmake"), { recursive: true });
  await copyFile(
    join(import.meta.dirname, "build-info-gen-cpp.cmake"),
    join(source, "common", "cmake", "build-info-gen-cpp.cmake"),
  );
  const reproducible = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=go=rX,u+rw"];
  await execa(
    "tar",
    [...reproducible, "--use-compress-program", "gzip -n", "-cf", join(folder, "engine.tar.gz"), "ik_llama.cpp"],
    {
      cwd: join(folder, sdist, "vendor"),
    },
  );
}
