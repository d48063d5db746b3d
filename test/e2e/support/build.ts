import { cpSync, linkSync, mkdirSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { execa } from "execa";
import { checkout, tools } from "../../../cli/paths.ts";
import { engineSource } from "../../../offline/engineSource.ts";
import { sources } from "./testStack.ts";

/**
 * A copy of docker/server/ to build from, with the engine's source and a model in it, as a user lays them there.
 * @param folder of the checkout's file system, so that the files need not be copied
 */
export function buildContext(folder: string, model: string): void {
  const others = ["model", "engine"].map((kind) => join(checkout, "docker/server/context", kind));
  cpSync(join(checkout, "docker/server"), folder, { recursive: true, filter: (path) => !others.includes(path) });
  layIn(folder, { model, engine: join(checkout, engineSource) });
}

/** Puts files where docker/server/ has them from the user. */
export function layIn(folder: string, files: Readonly<Record<"model" | "engine", string>>): void {
  for (const [kind, file] of Object.entries(files)) {
    mkdirSync(join(folder, "context", kind), { recursive: true });
    linkSync(file, join(folder, "context", kind, basename(file)));
  }
}

/** Runs `docker build`; never throws for its exit code. */
export async function dockerBuild(folder: string, args: Readonly<Record<string, string>>, options: string[]) {
  const { engine, baseImage } = await sources();
  const all = { ENGINE: engine, ENGINE_REPO: "ik_llama.cpp.tar.gz", BASE_IMAGE: baseImage, ...args };
  const buildArgs = Object.entries(all).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
  return execa("docker", ["build", ...buildArgs, ...options, folder], {
    // .tools/bin has a client that builds with BuildKit, whatever else is on PATH.
    env: { DOCKER_BUILDKIT: "1", PATH: [join(tools, "bin"), process.env.PATH].join(delimiter) },
    all: true,
    reject: false,
  });
}
