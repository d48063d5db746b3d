import { mkdtemp, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tools } from "../../../cli/paths.ts";
import { buildContext } from "../support/build.ts";
import { drawModel } from "../support/testModel.ts";
import { sources } from "../support/testStack.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tools, "compose-test-"));
});

afterAll(async () => {
  await execa("docker", ["rmi", "bitnet-server"], { reject: false });
  await rm(folder, { recursive: true });
});

// How it runs is shown in ../machine.test.ts, where Docker may raise the limit for locked memory.
test("inside docker/, compose builds the image by itself", async () => {
  const { path, name } = await drawModel(folder);
  const context = join(folder, "docker");
  buildContext(context, path);
  const { engine, baseImage } = await sources();
  const args = { ENGINE: engine, ENGINE_REPO: "ik_llama.cpp.tar.gz", BASE_IMAGE: baseImage, MODEL_URL: basename(path) };
  const flags = Object.entries(args).map(([key, value]) => `--build-arg=${key}=${value}`);
  const [program, ...command] = await compose();
  await execa(program, [...command, "build", ...flags], {
    cwd: context,
    // Its version 1 builds with BuildKit only if told to.
    env: { DOCKER_BUILDKIT: "1", COMPOSE_DOCKER_CLI_BUILD: "1" },
  });
  const { stdout } = await execa("docker", ["run", "--rm", "--entrypoint=cat", "bitnet-server", "/model/facts"]);
  expect(stdout).toContain(`name=${name}`);
});

/** `docker compose`, or what Debian 12 has of it. */
async function compose(): Promise<[string, ...string[]]> {
  const { exitCode } = await execa("docker", ["compose", "version"], { reject: false });
  return exitCode === 0 ? ["docker", "compose"] : ["docker-compose"];
}
