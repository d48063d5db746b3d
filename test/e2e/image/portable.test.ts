import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tools } from "../../../cli/paths.ts";
import { chat, client } from "../support/chat.ts";
import { docker, inReplica, lockedBytes, serverProcess } from "../support/docker.ts";
import { freePort, isHealthy } from "../support/net.ts";
import type { TestModel } from "../support/testModel.ts";
import { drawModel } from "../support/testModel.ts";
import { buildImage } from "./build.ts";

const image = "bitnet-server-test-portable";
let folder: string;
let model: TestModel;
let container: string;
let port: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tools, "portable-test-"));
  model = await drawModel(folder);
  const { succeeded, output } = await buildImage({
    files: { model: model.path },
    args: { OPTIMIZE: "false" },
    tag: image,
  });
  if (!succeeded) throw new Error(output);
  port = await freePort();
  // Without the right to lock memory.
  const flags = ["--user=65532:65532", "--cap-drop=ALL", "--ulimit=memlock=65536:65536"];
  const { stdout } = await execa("docker", ["run", "--detach", ...flags, `--publish=127.0.0.1:${port}:8080`, image]);
  container = stdout;
});

afterAll(async () => {
  await docker.getContainer(container).remove({ force: true });
  await execa("docker", ["rmi", image], { reject: false });
  await rm(folder, { recursive: true });
});

test("--build-arg OPTIMIZE=false: an image that answers rightly", async () => {
  await expect.poll(() => isHealthy(`http://127.0.0.1:${port}`), { timeout: 60_000 }).toBe(true);
  expect((await chat(client(`http://127.0.0.1:${port}/v1`), 3)).text).toBe(model.answer(3));
});

test("with the model mapped from disk, and no memory locked", async () => {
  const server = await serverProcess(inReplica(container));
  expect(server.args).not.toContain("--no-mmap");
  expect(server.args).not.toContain("--mlock");
  expect(lockedBytes(server)).toBe(0);
});

test("for every CPU of the last ten years: nothing beyond AVX2, or NEON with dot products", async () => {
  const { stdout } = await execa("docker", ["exec", container, "cat", "/opt/bitnet-server/instructions"]);
  expect(stdout).toMatch(process.arch === "arm64" ? /asimddp/ : /avx2/);
  expect(stdout).not.toMatch(/avx512|amx|avx_vnni|sve|i8mm/);
});
