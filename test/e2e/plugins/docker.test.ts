import { Container, Network, Volume, type ContainerArgs } from "@pulumi/docker";
import { interpolate, secret } from "@pulumi/pulumi";
import Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sources } from "../support/testStack.ts";
import { PluginStack } from "./pluginStack.ts";

const docker = new Docker();
let stack: PluginStack;
let image: string;

beforeAll(async () => {
  stack = await PluginStack.create();
  image = `plugin-test:${stack.name}`;
  const { baseImage } = await sources();
  const check = 'HEALTHCHECK --interval=1s --retries=3 CMD test "$HEALTHY" = yes';
  await execa("docker", ["build", "--tag", image, "-"], { input: `FROM ${baseImage}\n${check}\n` });
});
afterAll(async () => {
  await stack.dispose();
  await docker.getImage(image).remove();
});

/** A network, a volume, and a container that uses both and waits until it is healthy. */
const program = (args: Partial<ContainerArgs> = {}) => {
  const network = new Network("network", { labels: [{ label: "test", value: stack.name }] });
  const volume = new Volume("volume", { labels: [{ label: "test", value: stack.name }] });
  const container = new Container("container", {
    image,
    command: ["sleep", "infinity"],
    envs: ["HEALTHY=yes", interpolate`KEY=${secret("confidential")}`],
    labels: [{ label: "test", value: stack.name }],
    capabilities: { adds: ["CAP_IPC_LOCK"], drops: ["ALL"] },
    ulimits: [{ name: "nofile", soft: 1024, hard: 2048 }],
    networksAdvanced: [{ name: network.name, aliases: ["alias"] }],
    ports: [{ internal: 80, ip: "127.0.0.1" }],
    volumes: [{ volumeName: volume.name, containerPath: "/data" }],
    tmpfs: { "/scratch": "size=1m" },
    securityOpts: ["no-new-privileges:true"],
    logOpts: { "max-size": "1m" },
    restart: "unless-stopped",
    memory: 64,
    memorySwap: 64,
    cpuSet: "0",
    wait: true,
    ...args,
  });
  return Promise.resolve({ id: container.id, name: container.name, ports: container.ports, network: network.name });
};

const up = (args?: Partial<ContainerArgs>) => stack.up(() => program(args));
const inspect = async (id: unknown) => docker.getContainer(String(id)).inspect();

describe("docker.Container, docker.Network and docker.Volume", () => {
  test("a preview touches nothing", async () => {
    expect(await stack.preview(() => program())).toEqual({ create: 4 });
    expect(await remains()).toEqual([0, 0, 0]);
  });

  test("a container comes up healthy, with all that the program asks for", async () => {
    const { outputs } = await up();
    const { State, Config, HostConfig, NetworkSettings } = await inspect(outputs.id);
    expect(outputs.name).toMatch(/^container-[0-9a-f]{7}$/);
    expect(State.Health?.Status).toBe("healthy");
    expect(Config.Env).toContain("KEY=confidential");
    expect(Config.Labels).toMatchObject({ test: stack.name });
    expect(HostConfig).toMatchObject({
      ...{ CapAdd: ["CAP_IPC_LOCK"], CapDrop: ["ALL"], SecurityOpt: ["no-new-privileges:true"], CpusetCpus: "0" },
      ...{ Memory: 64 * 1024 ** 2, MemorySwap: 64 * 1024 ** 2, Tmpfs: { "/scratch": "size=1m" } },
      RestartPolicy: { Name: "unless-stopped" },
      Ulimits: [{ Name: "nofile", Soft: 1024, Hard: 2048 }],
      LogConfig: { Config: { "max-size": "1m" } },
    });
    expect(Object.keys(NetworkSettings.Networks)).toEqual([outputs.network]);
    expect(NetworkSettings.Networks[String(outputs.network)]?.Aliases).toContain("alias");
    const external = Number(NetworkSettings.Ports["80/tcp"]?.[0]?.HostPort);
    expect(outputs.ports).toEqual([{ internal: 80, external, ip: "127.0.0.1", protocol: "tcp" }]);
  });

  test("a second update changes nothing", async () => {
    expect((await up()).changes).toEqual({ same: 4 });
  });

  test("a secret environment variable is in no state file", async () => {
    expect(await stack.stateFile()).not.toContain("confidential");
  });

  test("more memory is given to the running container", async () => {
    const before = (await up()).outputs;
    const { changes, outputs } = await up({ memory: 96, memorySwap: 96 });
    expect(changes).toEqual({ update: 1, same: 3 });
    expect(outputs).toEqual(before);
    expect((await inspect(outputs.id)).HostConfig.Memory).toBe(96 * 1024 ** 2);
  });

  test("a changed command replaces the container, the old one going first, and nothing else", async () => {
    const before = (await up()).outputs;
    const { changes, outputs } = await up({ command: ["sleep", "3600"] });
    expect(changes).toEqual({ replace: 1, same: 3 });
    expect(outputs.id).not.toBe(before.id);
    await expect(inspect(before.id)).rejects.toThrow("no such container");
  });

  test("a stopped container is noticed by a refresh and started by the next update", async () => {
    const unpublished = { ports: [] }; // a port that is no longer published would have it replaced
    const { id } = (await up(unpublished)).outputs;
    await docker.getContainer(String(id)).stop({ t: 0 });
    expect(await stack.refresh()).toMatchObject({ update: 1 });
    const { outputs } = await up(unpublished);
    expect(outputs.id).toBe(id);
    expect((await inspect(id)).State.Running).toBe(true);
  });

  test("a container that vanished is noticed by a refresh and made anew", async () => {
    const { id } = (await up()).outputs;
    await docker.getContainer(String(id)).remove({ force: true });
    expect(await stack.refresh()).toMatchObject({ delete: 1 });
    expect((await up()).changes).toEqual({ create: 1, same: 3 });
  });

  test("a container that does not get healthy in time fails the update", async () => {
    const message = await stack.failingUp(() => program({ envs: ["HEALTHY=no"], waitTimeout: 3 }));
    expect(message).toContain("container failed to be in healthy state");
  });

  test("what the stand-in does not know is refused in a preview, with one line", async () => {
    const message = await stack.preview(() => program({ gpus: "all" })).then(String, String);
    expect(message).toContain("the stand-in for docker.Container has no gpus");
    expect(message).not.toMatch(/^ *at /m);
  });

  test("what Docker refuses is said in its words", async () => {
    const message = await stack.failingUp(() => program({ capabilities: { adds: ["CAP_NONSENSE"] } }));
    expect(message).toMatch(/Unable to create container: .*CAP_NONSENSE/);
  });

  test("destroy leaves nothing, not even what never got healthy", async () => {
    await stack.destroy();
    expect(await remains()).toEqual([0, 0, 0]);
  });
});

/** How many containers, networks and volumes of this test there are. */
async function remains(): Promise<number[]> {
  const filters = { label: [`test=${stack.name}`] };
  const [containers, networks, { Volumes }] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listNetworks({ filters }),
    docker.listVolumes({ filters }),
  ]);
  return [containers.length, networks.length, Volumes.length];
}
