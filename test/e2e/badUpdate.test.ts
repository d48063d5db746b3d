import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerTensors } from "../../tools/answerProgram.ts";
import { corrupt } from "../../tools/syntheticModel.ts";
import { Chatters, chat, client } from "./support/chat.ts";
import { containersOf } from "./support/docker.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { Outputs, Run, StackSettings } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";

// One stack is taken through all of it. A single replica stays beside the one that fails; of two one has made room for it.
describe("updates that cannot work, while four clients chat", () => {
  let folder: string;
  let model: TestModel;
  let garbage: TestModel;
  let stack: TestStack;
  let outputs: Outputs;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-bad-update-"));
    [model, garbage] = [await drawModel(folder), await drawModel(folder)];
    for (const tensor of answerTensors("tiny")) await corrupt(garbage.path, tensor, garbage.options);
    stack = await TestStack.create({ ...model.settings, replicas: 1 });
    await stack.up();
    outputs = await stack.outputs();
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test("of one replica, an argument that the server refuses fails at once, and is named; no request fails", async () => {
    await refusesArgument(1);
  });

  test("a model that answers wrongly never gets a request; what it was asked and answered is said", async () => {
    await answersWrongly(1);
  });

  test("with the right settings the next update works, to two replicas, and leaves nothing behind", async () => {
    await worksAgain(2);
  });

  test("of two replicas, an argument that the server refuses fails at once, and is named; no request fails", async () => {
    await refusesArgument(2);
  });

  test("of two replicas, a model that answers wrongly gets no request either, also after an update that failed", async () => {
    await answersWrongly(2);
  });

  test("with the right settings the next update works again, and leaves nothing behind", async () => {
    await worksAgain(2);
  });

  async function refusesArgument(replicas: number): Promise<void> {
    const { output, seconds } = await failsWhileChatting({ extraArgs: '["--no-such-argument"]' }, replicas);
    expect(output).toMatch(/error: .*--no-such-argument/);
    expect(output).not.toMatch(/--flash-attn|usage:/);
    expect(seconds).toBeLessThan(60);
  }

  async function answersWrongly(replicas: number): Promise<void> {
    const { output } = await failsWhileChatting({ ...garbage.settings, extraArgs: "[]" }, replicas);
    expect(output).toContain(`asked: ${String(garbage.settings.smokePrompt)}`);
    expect(output).toContain(`expected: ${garbage.answer(7)}`);
    expect(output).toContain("answered: ");
  }

  async function worksAgain(replicas: number): Promise<void> {
    stack.configure({ ...model.settings, extraArgs: "[]", replicas });
    await stack.up();
    const healths = async () => (await containersOf(stack.name, "replica")).map(({ State }) => State.Health?.Status);
    await expect.poll(healths, { timeout: 20_000 }).toEqual(Array(replicas).fill("healthy"));
    expect((await stack.up()).output).toContain("no change");
  }

  /** @param replicas that there were before */
  async function failsWhileChatting(settings: StackSettings, replicas: number): Promise<Run & { seconds: number }> {
    const chatters = new Chatters(4, client(outputs.url), (digit) => [model.answer(digit)]);
    const began = performance.now();
    try {
      stack.configure(settings);
      const run = await stack.run("up");
      const seconds = (performance.now() - began) / 1000;
      expect(run.exitCode).toBe(1);
      await sleep(2000);
      const busy = (await containersOf(stack.name, "replica")).filter(({ State }) => State.Running);
      // The old ones: all, or one less where one had made room.
      expect(busy).toHaveLength(Math.max(1, replicas - 1));
      expect((await chat(client(outputs.url), 4)).text).toBe(model.answer(4));
      return { ...run, seconds };
    } finally {
      await chatters.stop();
      expect(chatters.failures).toEqual([]);
    }
  }
});
