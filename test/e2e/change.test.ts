import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Chatters, chat, client } from "./support/chat.ts";
import { containerOf, containersOf, docker, inReplica, serverProcess } from "./support/docker.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { Outputs } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";

describe.each([1, 2])("changes while four clients chat with %i replicas", (replicas) => {
  let folder: string;
  let oldModel: TestModel;
  let newModel: TestModel;
  let stack: TestStack;
  let outputs: Outputs;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-change-"));
    [oldModel, newModel] = [await drawModel(folder), await drawModel(folder)];
    stack = await TestStack.create({ ...oldModel.settings, replicas });
    await stack.up();
    outputs = await stack.outputs();
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test("a changed contextSize replaces the replicas and nothing else; no request fails, no stream is cut", async () => {
    const before = await snapshot(stack.name);
    await changeWhileChatting({ contextSize: 1024 }, (digit) => [oldModel.answer(digit)]);
    const after = await snapshot(stack.name);
    expect(after.kept).toEqual(before.kept);
    expect(after.images).toEqual(before.images);
    expect(after.replicas.filter((id) => before.replicas.includes(id))).toEqual([]);
    for (const id of after.replicas) {
      expect((await serverProcess(inReplica(id))).args.join(" ")).toContain("--ctx-size 1024");
    }
  });

  test("a changed model replaces image and replicas and nothing else; no request fails, no stream is cut", async () => {
    const before = await snapshot(stack.name);
    await changeWhileChatting(newModel.settings, (digit) => [oldModel.answer(digit), newModel.answer(digit)]);
    const after = await snapshot(stack.name);
    expect(after.kept).toEqual(before.kept);
    expect(new Set(after.images)).not.toEqual(new Set(before.images));
    expect(after.replicas.filter((id) => before.replicas.includes(id))).toEqual([]);
    expect((await chat(client(outputs.url), 3)).text).toBe(newModel.answer(3));
  });

  async function changeWhileChatting(
    settings: Parameters<TestStack["configure"]>[0],
    answers: (digit: number) => string[],
  ): Promise<void> {
    const chatters = new Chatters(4, client(outputs.url), answers);
    try {
      await sleep(2000);
      stack.configure(settings);
      await stack.up();
      await sleep(2000);
    } finally {
      await chatters.stop();
    }
    expect(chatters.failures).toEqual([]);
    expect(chatters.answered).toBeGreaterThan(0);
  }
});

/** What a stack consists of: the replicas and their images, and all that no change of theirs may replace. */
async function snapshot(stack: string) {
  const label = [`bitnet-server.stack=${stack}`];
  const [replicas, balancer, registry, networks, { Volumes: volumes }] = await Promise.all([
    containersOf(stack, "replica"),
    containerOf(stack, "load-balancer"),
    containerOf(stack, "registry"),
    docker.listNetworks({ filters: { label } }),
    docker.listVolumes({ filters: { label } }),
  ]);
  return {
    replicas: replicas.map(({ Id }) => Id),
    images: replicas.map(({ Config }) => Config.Image),
    kept: [balancer.Id, registry.Id, ...networks.map(({ Id }) => Id), ...volumes.map(({ Name }) => Name)],
  };
}
