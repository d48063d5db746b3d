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
  let connected: unknown;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-drift-"));
    model = await drawModel(folder);
    stack = await TestStack.create({ ...model.settings, replicas: 1, monitoring: true });
    await stack.up();
    outputs = await stack.outputs();
    connected = await connections();
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  const all: Role[] = ["replica", "gateway", "load-balancer", "registry", "monitoring"];
  /** How long each `up` took that found nothing to do, in ms. */
  const idle: number[] = [];

  test.each<[string, () => Promise<void>]>([
    ["a stopped replica", () => stop("replica")],
    ["a removed registry and a stopped load balancer", removeRegistryAndStopBalancer],
    ["everything, stopped", stopEverything],
    ["the networks, and the containers on them", removeNetworks],
    ["a stopped gateway, and what was taken off a network or is on it without its alias", disconnect],
  ])("%s, and then has nothing more to do", async (_, damage) => {
    await damage();
    await stack.up();
    expect((await chat(client(outputs.url), 4)).text).toBe(model.answer(4));
    for (const role of all) {
      const running = (await containersOf(stack.name, role)).map(({ State }) => State.Running);
      expect(running, role).toEqual(role === "gateway" ? [true, true] : [true]);
    }
    expect(await connections()).toEqual(connected);

    const began = performance.now();
    expect((await stack.up()).output).toContain("no change");
    idle.push(performance.now() - began);
  });

  test("nothing where nothing is missing, in under 10 seconds", () => {
    // What else this machine does only ever makes it slower.
    expect(Math.min(...idle)).toBeLessThan(10_000);
  });

  /** On how many networks each container is, and by which names, but for its host name, which Docker adds. */
  async function connections(): Promise<unknown> {
    const containers = (await Promise.all(all.map((role) => containersOf(stack.name, role)))).flat();
    return containers.map(({ Name, Config, NetworkSettings: { Networks } }) => ({
      container: Name.replace(/-[^-]+$/, ""),
      networks: Object.keys(Networks).length,
      aliases: Object.values(Networks)
        .flatMap(({ Aliases }) => (Aliases as string[] | null) ?? [])
        .filter((alias) => alias !== Config.Hostname && !/^[0-9a-f]{12}$/.test(alias))
        .sort(),
    }));
  }

  /** A replica comes back as somebody would bring it back by hand: without its alias. */
  async function disconnect(): Promise<void> {
    const replica = await takeOff("replica", "fleet");
    await replica.network.connect({ Container: replica.id });
    const gateway = await takeOff("gateway", "fleet-gateways");
    for (const { Id } of await containersOf(stack.name, "gateway")) {
      if (Id !== gateway.id) await docker.getContainer(Id).stop({ t: 1 });
    }
    await takeOff("monitoring", "fleet-gateways");
    await takeOff("load-balancer", "fleet-gateways");
  }

  /** Takes the first container of a role off the network of this name and seven digits. */
  async function takeOff(role: Role, name: string) {
    const [container] = await containersOf(stack.name, role);
    const { Id: id, NetworkSettings } = container ?? expect.fail(`no ${role}`);
    const full = Object.keys(NetworkSettings.Networks).find((it) => it.replace(/-[^-]+$/, "") === name) ?? "";
    const network = docker.getNetwork(full);
    await network.disconnect({ Container: id });
    return { id, network };
  }

  async function remove(role: Role): Promise<void> {
    for (const { Id } of await containersOf(stack.name, role)) await docker.getContainer(Id).remove({ force: true });
  }

  async function stop(role: Role): Promise<void> {
    for (const { Id } of await containersOf(stack.name, role)) await docker.getContainer(Id).stop({ t: 1 });
  }

  async function removeRegistryAndStopBalancer(): Promise<void> {
    await Promise.all([remove("registry"), stop("load-balancer")]);
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
