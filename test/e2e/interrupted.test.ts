import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chat, client } from "./support/chat.ts";
import { belongingsOf, containersOf } from "./support/docker.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import { TestStack } from "./support/testStack.ts";

describe("an up that was killed in the middle of creating the replicas", () => {
  let folder: string;
  let model: TestModel;
  let stack: TestStack;
  let cutOff: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-interrupted-"));
    model = await drawModel(folder);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  beforeEach(async () => {
    stack = await TestStack.create({ ...model.settings, replicas: 2 });
    const cut = new AbortController();
    const killed = stack.upUntil(cut.signal);
    // A replica is "being created" until it is healthy, which takes its first start some seconds.
    const replicas = async () => (await containersOf(stack.name, "replica")).length;
    try {
      await expect.poll(replicas, { timeout: 1_800_000, interval: 100 }).toBeGreaterThan(0);
    } finally {
      cut.abort();
    }
    await killed;
    cutOff = (await containersOf(stack.name, "replica")).map(({ Id }) => Id);
  });

  afterEach(async () => {
    await stack.dispose();
  });

  test("leaves a lock that the next command takes away, and says so; destroy then leaves nothing", async () => {
    expect(await belongingsOf(stack)).not.toEqual([]);
    const { exitCode, output } = await stack.run("destroy");
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(/the last command \(process \d+\) was killed: its lock is taken away/);
    expect(output).toMatch(/removing what a killed command had left: container \S+/);
    expect(await belongingsOf(stack)).toEqual([]);
  });

  test("goes on with the next up, and the replica that Pulumi knows nothing of is gone", async () => {
    await stack.up();
    const { url } = await stack.outputs();
    expect((await chat(client(url), 4)).text).toBe(model.answer(4));
    const replicas = (await containersOf(stack.name, "replica")).map(({ Id }) => Id);
    expect(replicas).toHaveLength(2);
    expect(replicas.filter((id) => cutOff.includes(id))).toEqual([]);
    expect((await stack.up()).output).toContain("no change");
  });
});
