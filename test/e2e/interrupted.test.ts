import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chat, client } from "./support/chat.ts";
import { belongingsOf, containersOf } from "./support/docker.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import { TestStack } from "./support/testStack.ts";

describe("an up that was killed in the middle of creating a container", () => {
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
    // The registry is "being created" until it is healthy, which takes it a second.
    const registries = async () => (await containersOf(stack.name, "registry")).length;
    try {
      await expect.poll(registries, { timeout: 1_800_000, interval: 50 }).toBeGreaterThan(0);
    } finally {
      cut.abort();
    }
    await killed;
    cutOff = (await containersOf(stack.name, "registry")).map(({ Id }) => Id);
  });

  afterEach(async () => {
    await stack.dispose();
  });

  test("leaves a lock that the next command takes away, and says so; destroy then leaves nothing", async () => {
    expect(await belongingsOf(stack)).not.toEqual([]);
    const { exitCode, output } = await stack.run("destroy");
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(/removed the lock of a command that was killed \(process \d+\)/);
    expect(output).toMatch(/removing leftovers of a killed command: container \S+/);
    expect(await belongingsOf(stack)).toEqual([]);
  });

  test("goes on with the next up, and the container that Pulumi knows nothing of is gone", async () => {
    await stack.up();
    const { url } = await stack.outputs();
    expect((await chat(client(url), 4)).text).toBe(model.answer(4));
    const registries = (await containersOf(stack.name, "registry")).map(({ Id }) => Id);
    expect(registries).toHaveLength(1);
    expect(registries).not.toEqual(cutOff);
    expect((await stack.up()).output).toContain("no change");
  });
});
