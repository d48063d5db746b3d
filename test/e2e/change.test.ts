import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Chatters, chat, client } from "./support/chat.ts";
import { containerOf, containersOf, docker, inReplica, serverProcess } from "./support/docker.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { StackSettings } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";

/** The clients that chat during every change. Each waits for its answer before it asks again. */
const clients = 4;

// One stack is taken through all of it. What a change replaces does not depend on the number of replicas, and how they are
// replaced does not depend on what changed: each of the two ways is shown once.
describe(`changes while ${clients} clients chat: no request fails, no stream is cut`, () => {
  let folder: string;
  let oldModel: TestModel;
  let newModel: TestModel;
  let stack: TestStack;
  let url: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-change-"));
    [oldModel, newModel] = [await drawModel(folder), await drawModel(folder)];
    // With two replicas on two cores another number would be chosen, and that replaces the load balancer.
    stack = await TestStack.create({ ...oldModel.settings, replicas: 1, parallel: 1 });
    await stack.up();
    ({ url } = await stack.outputs());
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test("of one replica, a changed contextSize replaces that replica and the gateways, and nothing else", async () => {
    const before = await snapshot(stack.name);
    await changeWhileChatting({ contextSize: 1024 }, [oldModel]);
    const after = await snapshot(stack.name);
    expect(after.kept).toEqual(before.kept);
    expect(after.images).toEqual(before.images);
    expect(after.replicas.filter((id) => before.replicas.includes(id))).toEqual([]);
    expect(after.gateways.filter((id) => before.gateways.includes(id))).toEqual([]);
    for (const id of after.replicas) {
      expect((await serverProcess(inReplica(id))).args.join(" ")).toContain("--ctx-size 1024");
    }
  });

  test("to two replicas: each has cores of its own and a thread for each", async () => {
    await changeWhileChatting({ replicas: 2 }, [oldModel]);
    await expectSharesOfCores(2);
  });

  test("of two replicas, a changed model replaces both, their image and the gateways, and nothing else", async () => {
    const before = await snapshot(stack.name);
    await changeWhileChatting(newModel.settings, [oldModel, newModel]);
    const after = await snapshot(stack.name);
    expect(after.kept).toEqual(before.kept);
    expect(after.replicas).toHaveLength(2);
    expect(after.images.filter((image) => before.images.includes(image))).toEqual([]);
    expect(after.replicas.filter((id) => before.replicas.includes(id))).toEqual([]);
    expect((await chat(client(url), 3)).text).toBe(newModel.answer(3));
  });

  test("back to one replica: it has all cores", async () => {
    await changeWhileChatting({ replicas: 1 }, [newModel]);
    await expectSharesOfCores(1);
  });

  /** @param models whose answers may come */
  async function changeWhileChatting(settings: StackSettings, models: TestModel[]): Promise<void> {
    const chatters = new Chatters(clients, client(url), (digit) => models.map((model) => model.answer(digit)));
    let during = 0;
    try {
      await untilAnswered(chatters, clients);
      stack.configure(settings);
      const before = chatters.answered;
      await stack.up();
      during = chatters.answered - before;
      await untilAnswered(chatters, clients);
    } finally {
      await chatters.stop();
    }
    expect(chatters.failures).toEqual([]);
    // A tenth of a second each on an idle machine with two cores, and a change takes half a minute: this many even where
    // much else runs, and never where the clients wait for the change to be over.
    expect(during).toBeGreaterThanOrEqual(3 * clients);
  }

  /** So many more. */
  async function untilAnswered(chatters: Chatters, count: number): Promise<void> {
    const enough = chatters.answered + count;
    await vi.waitUntil(() => chatters.answered >= enough || chatters.failures.length > 0, { timeout: 60_000 });
  }

  async function expectSharesOfCores(replicas: number): Promise<void> {
    const containers = await containersOf(stack.name, "replica");
    expect(containers).toHaveLength(replicas);
    const shares = containers.map(({ HostConfig }) => (HostConfig.CpusetCpus ?? "").split(","));
    expect(new Set(shares.flat()).size).toBe(shares.flat().length);
    for (const [index, { Id }] of containers.entries()) {
      const { args } = await serverProcess(inReplica(Id));
      expect(args.join(" ")).toContain(`--threads ${shares[index]?.length ?? 0} `);
    }
  }
});

/** What a stack consists of: the replicas and their images, the gateways, and all that no change of theirs may replace. */
async function snapshot(stack: string) {
  const label = [`bitnet-server.stack=${stack}`];
  const [replicas, gateways, balancer, registry, networks, { Volumes: volumes }] = await Promise.all([
    containersOf(stack, "replica"),
    containersOf(stack, "gateway"),
    containerOf(stack, "load-balancer"),
    containerOf(stack, "registry"),
    docker.listNetworks({ filters: { label } }),
    docker.listVolumes({ filters: { label } }),
  ]);
  return {
    replicas: replicas.map(({ Id }) => Id),
    gateways: gateways.map(({ Id }) => Id),
    images: replicas.map(({ Config }) => Config.Image),
    // Docker lists networks and volumes in no particular order.
    kept: [balancer.Id, registry.Id, ...networks.map(({ Id }) => Id), ...volumes.map(({ Name }) => Name)].toSorted(),
  };
}
