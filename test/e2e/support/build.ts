import { delimiter, join } from "node:path";
import { execa } from "execa";
import { checkout, tools } from "../../../cli/paths.ts";
import { stageBuildContext } from "../../../components/image/buildContext.ts";
import { engineSource } from "../../../offline/engineSource.ts";
import { sources } from "./testStack.ts";

/**
 * A copy of docker/server/ to build from, with the engine's source and a model in it, as a user lays them there.
 * @param folder of the checkout's file system, so that the files need not be copied
 */
export function buildContext(folder: string, model: string): void {
  stageBuildContext(join(checkout, "docker/server"), folder, { engine: join(checkout, engineSource), model });
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
