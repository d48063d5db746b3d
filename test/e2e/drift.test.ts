import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, client } from "./support/chat.ts";
import type { Role } from "./support/docker.ts";
import { containersOf, docker } from "./support/docker.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { Outputs } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";

describe("up puts back", () => {
  let folder: string;
  let model: TestModel;
  let stack: TestStack;
  let outputs: Outputs;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-drift-"));
    model = await drawModel(folder);
    stack = await TestStack.create({ ...model.settings, replicas: 1, monitoring: true });
    await stack.up();
    outputs = await stack.outputs();
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  const all: Role[] = ["replica", "gateway", "load-balancer", "registry", "monitoring"];

  test.each<[string, () => Promise<void>]>([
    ["a stopped replica", () => stop("replica")],
    ["a removed registry and a stopped load balancer", removeRegistryAndStopBalancer],
    ["a stopped gateway and a stopped Prometheus", stopGatewayAndPrometheus],
    ["everything, stopped", stopEverything],
    ["the networks, and the containers on them", removeNetworks],
  ])("%s, and then has nothing more to do", async (_, damage) => {
    await damage();
    await stack.up();
    expect((await chat(client(outputs.url), 4)).text).toBe(model.answer(4));
    for (const role of all) {
      const running = (await containersOf(stack.name, role)).map(({ State }) => State.Running);
      expect(running, role).toEqual(role === "gateway" ? [true, true] : [true]);
    }

    expect((await stack.up()).output).toContain("no change");
  });

  test("nothing where nothing is missing, in under 10 seconds", async () => {
    const times: number[] = [];
    for (let run = 0; run < 3; run++) {
      const began = performance.now();
      await stack.up();
      times.push(performance.now() - began);
    }
    // What else this machine does only ever makes it slower.
    expect(Math.min(...times)).toBeLessThan(10_000);
  });

  async function remove(role: Role): Promise<void> {
    for (const { Id } of await containersOf(stack.name, role)) await docker.getContainer(Id).remove({ force: true });
  }

  async function stop(role: Role): Promise<void> {
    for (const { Id } of await containersOf(stack.name, role)) await docker.getContainer(Id).stop({ t: 1 });
  }

  async function removeRegistryAndStopBalancer(): Promise<void> {
    await Promise.all([remove("registry"), stop("load-balancer")]);
  }

  async function stopGatewayAndPrometheus(): Promise<void> {
    await Promise.all([stop("gateway"), stop("monitoring")]);
  }

  async function stopEverything(): Promise<void> {
    await Promise.all(all.map(stop));
  }

  async function removeNetworks(): Promise<void> {
    await remove("replica");
    await remove("gateway");
    await remove("load-balancer");
    await remove("monitoring");
    const filters = { label: [`bitnet-server.stack=${stack.name}`] };
    const networks = await docker.listNetworks({ filters });
    expect(networks).toHaveLength(3);
    await Promise.all(networks.map(({ Id }) => docker.getNetwork(Id).remove()));
  }
});
