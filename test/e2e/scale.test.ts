import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Chatters, client } from "./support/chat.ts";
import { containersOf, inReplica, serverProcess } from "./support/docker.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import { TestStack } from "./support/testStack.ts";

let folder: string;
let model: TestModel;
let stack: TestStack;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitnet-server-scale-"));
  model = await drawModel(folder);
  stack = await TestStack.create({ ...model.settings, replicas: 1 });
  await stack.up();
});

afterAll(async () => {
  await stack.dispose();
  await rm(folder, { recursive: true });
});

test.each([2, 1])(
  "to %i replicas: each has cores of its own and a thread for each; no request fails",
  async (replicas) => {
    const { url } = await stack.outputs();
    const chatters = new Chatters(4, client(url), (digit) => [model.answer(digit)]);
    try {
      stack.configure({ replicas });
      await stack.up();
    } finally {
      await chatters.stop();
    }
    expect(chatters.failures).toEqual([]);

    const containers = await containersOf(stack.name, "replica");
    expect(containers).toHaveLength(replicas);
    const shares = containers.map(({ HostConfig }) => (HostConfig.CpusetCpus ?? "").split(","));
    expect(new Set(shares.flat()).size).toBe(shares.flat().length);
    for (const [index, { Id }] of containers.entries()) {
      const { args } = await serverProcess(inReplica(Id));
      expect(args.join(" ")).toContain(`--threads ${shares[index]?.length ?? 0} `);
    }
  },
);
