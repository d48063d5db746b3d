import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerInspectInfo } from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../components/serving/ports.ts";
import { containerOf, containersOf, docker } from "./support/docker.ts";
import { drawModel } from "./support/testModel.ts";
import { TestStack } from "./support/testStack.ts";

/** An address and a port. */
type Place = readonly [string, number];

/** 192.0.2.1 is reserved for documentation: whoever had a way out would wait for its answer. */
const elsewhere: readonly Place[] = [
  ["192.0.2.1", 80],
  ["169.254.169.254", 80],
];

describe("a replica, tried from inside", () => {
  let folder: string;
  let stack: TestStack;
  let replica: string;
  let haproxy: string;
  /** Somebody else's service, on every address of this machine. */
  const service = createServer((socket) => socket.end());
  let servicePort: number;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-containment-"));
    stack = await TestStack.create({ ...(await drawModel(folder)).settings, replicas: 1 });
    await stack.up();
    replica = (await containerOf(stack.name, "replica")).Id;
    haproxy = (await containerOf(stack.name, "load-balancer")).Id;
    service.listen(0, "0.0.0.0");
    await once(service, "listening");
    servicePort = (service.address() as AddressInfo).port;
  });

  afterAll(async () => {
    service.close();
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test("reaches no service of the host, at none of its addresses", async () => {
    const ours = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    const addresses = ours.filter(({ family, internal }) => family === "IPv4" && !internal).map((own) => own.address);
    const gateways = (await networksOf(replica)).map(({ gateway }) => gateway);
    expect(addresses.length).toBeGreaterThan(0);
    const hosts = [...new Set([...addresses, ...gateways])].map((address) => [address, servicePort] as const);
    const itself = ["127.0.0.1", ports.server] as const;
    expect(await reached(replica, [...hosts, itself])).toEqual([itself.join(":")]);
    // Who is not contained does reach them: the service is there.
    const outside = (await networksOf(haproxy)).map(({ gateway }) => [gateway, servicePort] as const);
    expect(await reached(haproxy, outside)).not.toEqual([]);
  });

  test("reaches neither the internet nor the metadata address, nor another container on this machine", async () => {
    const { Networks } = (await containerOf(stack.name, "registry")).NetworkSettings;
    const [registry = ""] = Object.values(Networks).map(({ IPAddress }) => IPAddress);
    expect(await reached(replica, [...elsewhere, [registry, 5000]])).toEqual([]);
    expect(await connects(haproxy, registry, 5000)).toBe(false);
  });

  test("finds out no name of the internet", async () => {
    const { exitCode } = await inContainer(replica, "getent hosts example.com");
    expect(exitCode).not.toBe(0);
  });

  test("nor does a gateway: it reaches the load balancer, and neither host, replica, internet nor registry", async () => {
    const [gateway] = await containersOf(stack.name, "gateway");
    const id = gateway?.Id ?? "";
    expect(await nodeConnects(id, "haproxy", ports.router)).toBe(true);
    const addressOf = (container: ContainerInspectInfo) =>
      Object.values(container.NetworkSettings.Networks)[0]?.IPAddress ?? "";
    const registry = addressOf(await containerOf(stack.name, "registry"));
    const replicaAddress = addressOf(await containerOf(stack.name, "replica"));
    const hosts = [...(await networksOf(id)), ...(await networksOf(haproxy))].map((network) => network.gateway);
    const others: Place[] = [
      [registry, 5000],
      [replicaAddress, ports.server],
    ];
    // One after another: a gateway has memory for few Nodes beside its own.
    for (const [address, port] of [...elsewhere, ...others, ...hosts.map((host) => [host, servicePort] as const)]) {
      expect(await nodeConnects(id, address, port), address).toBe(false);
    }
    // Nor does a replica reach a gateway.
    expect(await connects(replica, gateway === undefined ? "" : addressOf(gateway), ports.gateway)).toBe(false);
  });

  test("gateway and HAProxy tell scanners which Debian packages they have", async () => {
    const [gateway] = await containersOf(stack.name, "gateway");
    for (const [id, name] of [
      [gateway?.Id, "nodejs"],
      [haproxy, "haproxy"],
    ] as const) {
      const { stdout } = await execa("docker", ["cp", `${id ?? ""}:/var/lib/dpkg/status.d/${name}`, "-"]);
      expect(stdout).toMatch(new RegExp(`^.*Package: ${name}\n(.*\n)*Version: `));
    }
  });

  test("may have only so many processes, and so may the gateways, HAProxy and the registry", async () => {
    for (const role of ["replica", "load-balancer", "registry"] as const) {
      const { Id, HostConfig } = await containerOf(stack.name, role);
      expect((await inContainer(Id, "ulimit -Hu")).stdout, role).toBe("8192");
      expect(HostConfig.Memory, role).toBeGreaterThan(0);
      expect(HostConfig.MemorySwap, role).toBe(HostConfig.Memory);
    }
    for (const { HostConfig } of await containersOf(stack.name, "gateway")) {
      expect(HostConfig.Ulimits).toContainEqual({ Name: "nproc", Soft: 8192, Hard: 8192 });
      expect([HostConfig.Memory, HostConfig.MemorySwap]).toEqual([256 * 2 ** 20, 256 * 2 ** 20]);
    }
  });
});

async function networksOf(container: string): Promise<{ gateway: string }[]> {
  const { NetworkSettings } = await docker.getContainer(container).inspect();
  const ids = Object.values(NetworkSettings.Networks).map(({ NetworkID }) => NetworkID);
  const networks = await Promise.all(ids.map((id) => docker.getNetwork(id).inspect() as Promise<unknown>));
  return networks.map((network) => {
    const { IPAM } = network as { IPAM: { Config: { Gateway?: string; Subnet: string }[] } };
    const [config] = IPAM.Config;
    return { gateway: config?.Gateway ?? (config?.Subnet ?? "").replace(/\d+\/\d+$/, "1") };
  });
}

/** Which of these a container reaches. All are tried at the same time: nobody may answer, and that takes seconds. */
async function reached(container: string, places: readonly Place[]): Promise<string[]> {
  const found = await Promise.all(places.map(([address, port]) => connects(container, address, port)));
  return places.filter((_, index) => found[index]).map((place) => place.join(":"));
}

async function connects(container: string, address: string, port: number): Promise<boolean> {
  const { exitCode } = await inContainer(container, `exec 3<>/dev/tcp/${address}/${port}`);
  return exitCode === 0;
}

/** The gateway's image has no shell. */
async function nodeConnects(container: string, address: string, port: number): Promise<boolean> {
  const program = `
    const socket = require("node:net").connect({ host: process.argv[1], port: Number(process.argv[2]), timeout: 3000 });
    socket.on("connect", () => process.exit(0)).on("error", () => process.exit(1)).on("timeout", () => process.exit(1));`;
  const node = ["exec", container, "/usr/bin/node", "-e", program, address, String(port)];
  return (await execa("docker", node, { reject: false })).exitCode === 0;
}

function inContainer(container: string, script: string) {
  return execa("docker", ["exec", container, "timeout", "5", "bash", "-c", script], { reject: false });
}
