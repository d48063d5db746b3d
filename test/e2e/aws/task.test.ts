import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { checkout, tools } from "../../../cli/paths.ts";
import { containerDefinitions } from "../../../components/aws/service/taskDefinition.ts";
import { bundleGateway } from "../../../gateway/bundle.ts";
import { description } from "../../unit/aws/description.ts";
import { buildImage } from "../image/build.ts";
import { dockerBuild } from "../support/build.ts";
import { chat, client, question, stream } from "../support/chat.ts";
import { docker, inReplica, lockedBytes, serverProcess } from "../support/docker.ts";
import type { TestModel } from "../support/testModel.ts";
import { drawModel } from "../support/testModel.ts";
import { EcsTask } from "./ecsTask.ts";

const images = {
  server: "bitnet-server-task-test",
  gateway: "bitnet-server-task-test-gateway",
  haproxy: "bitnet-server-task-test-haproxy",
};
const key = "key-of-the-task-test";
const patience = { timeout: 120_000, interval: 250 };
let folder: string;
let model: TestModel;
let task: EcsTask;

beforeAll(async () => {
  folder = await mkdtemp(join(tools, "task-test-"));
  model = await drawModel(folder);
  const { succeeded, output } = await buildImage({ files: { model: model.path }, tag: images.server });
  if (!succeeded) throw new Error(output);
  await bundleGateway();
  for (const [name, context] of [
    ["gateway", "docker/gateway"],
    ["haproxy", "docker/load-balancer"],
  ] as const) {
    const built = await dockerBuild(join(checkout, context), {}, ["--tag", images[name]]);
    if (built.failed) throw new Error(built.all);
  }
  const [smokePrompt, smokeAnswer] = [String(model.settings.smokePrompt), String(model.settings.smokeAnswer)];
  const definition = containerDefinitions({
    ...description,
    images,
    server: { modelAlias: model.name, contextSize: 1024, parallel: 1, extraArgs: [], smokePrompt, smokeAnswer },
    memoryBytes: 512 * 2 ** 20,
  });
  task = new EcsTask(JSON.stringify(definition), "bitnet-server.test-task=1");
  const sha256 = createHash("sha256").update(key).digest("hex");
  await task.start(() => JSON.stringify([{ name: "key-1", sha256 }]));
  await task.ready();
});

afterAll(async () => {
  await task.remove();
  await execa("docker", ["rmi", ...Object.values(images)], { reject: false });
  await rm(folder, { recursive: true });
});

const api = () => client(`http://127.0.0.1:${task.port}/v1`, key);
const server = () => serverProcess(inReplica(task.name("server")));

test("the whole model is locked in RAM", async () => {
  const found = await server();
  expect(lockedBytes(found)).toBeGreaterThanOrEqual(found.modelBytes);
});

test("no container has a right that it does not need, nor anything but memory to write to", async () => {
  for (const { name, linuxParameters } of task.containers) {
    const { HostConfig } = await docker.getContainer(task.name(name)).inspect();
    expect(HostConfig).toMatchObject({ ReadonlyRootfs: true, CapDrop: ["ALL"], SecurityOpt: ["no-new-privileges"] });
    const added = (HostConfig.CapAdd as string[] | null) ?? [];
    expect(added.map((capability) => capability.replace("CAP_", "")).toSorted()).toEqual(
      linuxParameters.capabilities.add.toSorted(),
    );
  }
  const { status } = await server();
  // IPC_LOCK and nothing else: linux/capability.h.
  expect([status.Uid?.split("\t")[0], Number.parseInt(status.CapEff ?? "", 16)]).toEqual(["65532", 1 << 14]);
});

test("answers come through the gateway, whole and as a stream, to whoever has the key", async () => {
  expect(await chat(api(), 4)).toMatchObject({ text: model.answer(4), finishReason: "stop" });
  expect(await stream(api(), 5)).toMatchObject({ text: model.answer(5), finishReason: "stop" });
  await expect(chat(client(`http://127.0.0.1:${task.port}/v1`, "another-key"), 4)).rejects.toThrow("401");
});

test("the gateway's lines are in the embedded metric format, and carry the load that a client makes", async () => {
  // The gateway looks every ten seconds: someone is always asking, until it has seen that.
  const seen = new AbortController();
  const clients = [1, 2, 3].map(async (digit) => {
    while (!seen.signal.aborted) await chat(api(), digit);
  });
  const lines = async () =>
    (await task.log("gateway"))
      .filter((line) => line.startsWith('{"_aws"'))
      .map((line) => JSON.parse(line) as Record<string, number>);
  await vi
    .waitFor(async () => {
      const all = await lines();
      const tokens = all.reduce((sum, { Tokens = 0 }) => sum + Tokens, 0);
      expect(tokens).toBeGreaterThanOrEqual(5 * model.answerTokens);
      expect(Math.max(...all.map(({ Load = 0 }) => Load))).toBeGreaterThan(0);
      expect(all.some((line) => "TimeToFirstToken" in line)).toBe(true);
    }, patience)
    .finally(() => {
      seen.abort();
    });
  await Promise.all(clients);
});

test("a server that is killed comes back in its place, and answers again", async () => {
  const { pid } = await server();
  await inReplica(task.name("server"))(`kill -KILL ${pid}`).catch(() => "");
  const restarts = async () => (await docker.getContainer(task.name("server")).inspect()).RestartCount;
  await expect.poll(restarts, patience).toBeGreaterThan(0);
  // The new one may be there before the health check notices that the old one is gone: health alone says nothing.
  await vi.waitFor(async () => {
    expect(await chat(api(), 6)).toMatchObject({ text: model.answer(6) });
  }, patience);
});

test("a task that is stopped finishes the answer that is being written", async () => {
  await untilSteady();
  // The answer takes milliseconds: with a hundredth of a core it has begun, and not ended, when the task is stopped.
  const update = (quota: number) => execa("docker", ["update", `--cpu-quota=${quota}`, task.name("server")]);
  await update(1000);
  const answer = await api().chat.completions.create({ model: "bitnet", messages: question(7), stream: true });
  const pieces: string[] = [];
  let stopped: Promise<void> | undefined;
  for await (const { choices } of answer) {
    pieces.push(choices[0]?.delta.content ?? "");
    if (stopped !== undefined || pieces.at(-1) === "") continue;
    stopped = task.stop();
    await expect.poll(() => task.isHealthy(), patience).toBe(false);
    await update(-1);
  }
  expect(pieces.join("")).toBe(model.answer(7));
  await stopped;
});

/** After a restart, until the health checks that began before it have been told. */
async function untilSteady(): Promise<void> {
  let healthy = 0;
  const look = async () => (healthy = (await task.isHealthy()) ? healthy + 1 : 0);
  await expect.poll(look, patience).toBeGreaterThan(20);
}
