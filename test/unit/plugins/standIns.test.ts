import type { ContainerInspectInfo } from "dockerode";
import { describe, expect, test } from "vitest";
import { container } from "../../../offline/plugins/docker/container.ts";
import { containerState, createOptions, liveOptions } from "../../../offline/plugins/docker/containerProperties.ts";
import { image } from "../../../offline/plugins/docker/image.ts";
import { network } from "../../../offline/plugins/docker/network.ts";
import { volume } from "../../../offline/plugins/docker/volume.ts";
import type { Resource } from "../../../offline/plugins/provider.ts";
import type { Properties } from "../../../offline/plugins/values.ts";

const context = { name: "it", seed: new Uint8Array(), preview: true, log: () => undefined, progress: () => undefined };
const check = async (resource: Resource, inputs: Properties) => resource.check(inputs, {}, context);

describe("what a stand-in does not know, it refuses", () => {
  test.for<[Resource, Properties, string]>([
    [container, { image: "a", gpus: "all" }, "docker.Container has no gpus"],
    [
      container,
      { image: "a", volumes: [{ hostPath: "/", containerPath: "/" }] },
      "docker.Container has no volumes.hostPath",
    ],
    [container, { image: "a", networkMode: "host" }, "docker.Container has no networkMode"],
    [network, { attachable: true }, "docker.Network has no attachable"],
    [volume, { driverOpts: { type: "nfs" } }, "docker.Volume has no driverOpts"],
    [image, { imageName: "a", build: { target: "engine" } }, "docker.Image has no build.target"],
  ])("%#: %j", async ([resource, inputs, what]) => {
    await expect(check(resource, inputs)).rejects.toThrow(new Error(`the stand-in for ${what}`));
  });
});

test("the official plugin's defaults are among a container's inputs", async () => {
  expect(await check(container, { image: "a" })).toEqual({
    ...{ image: "a", name: expect.stringMatching(/^it-[0-9a-f]{7}$/) as unknown, networkMode: "bridge", restart: "no" },
    ...{ mustRun: true, removeVolumes: true, start: true, waitTimeout: 60 },
    containerReadRefreshTimeoutMilliseconds: 15_000,
    __defaults: expect.any(Array) as unknown,
  });
});

test("Docker is asked for all that a container's inputs say", () => {
  const given = {
    ...{ name: "a", image: "b", envs: ["A=1"], memory: 64, memorySwap: 64, cpuSet: "0,1", readOnly: true },
    ...{ restart: "always", networkMode: "bridge", tmpfs: { "/run": "size=1m" }, securityOpts: ["no-new-privileges"] },
    ...{ capabilities: { drops: ["ALL"] }, ulimits: [{ name: "memlock", soft: -1, hard: -1 }] },
    ports: [{ internal: 80, external: 8080, ip: "127.0.0.1" }],
    volumes: [{ volumeName: "v", containerPath: "/data" }],
    labels: [{ label: "l", value: "1" }],
  };
  expect(createOptions(given)).toMatchObject({
    ...{ name: "a", Image: "b", Env: ["A=1"], ExposedPorts: { "80/tcp": {} }, Labels: { l: "1" } },
    HostConfig: {
      ...{ Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20, CpusetCpus: "0,1", ReadonlyRootfs: true, CapDrop: ["ALL"] },
      ...{ RestartPolicy: { Name: "always" }, NetworkMode: "bridge", Tmpfs: { "/run": "size=1m" } },
      ...{
        SecurityOpt: ["no-new-privileges"],
        Ulimits: [{ Name: "memlock", Soft: -1, Hard: -1 }],
        Binds: ["v:/data:rw"],
      },
      PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "8080" }] },
    },
  });
  expect(liveOptions(given, (name) => name === "memory")).toEqual({
    ...{ Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20, CpusetCpus: "0,1", RestartPolicy: { Name: "always" } },
  });
  expect(liveOptions(given, (name) => name === "wait")).toBeUndefined();
});

describe("a container's state is as the official plugin's, which would replace it for", () => {
  const found = {
    ...{ Id: "0", Name: "/replica", HostConfig: {}, State: { Running: true } },
    Config: {
      ...{ Cmd: null, Entrypoint: ["entrypoint.sh"] },
      Healthcheck: { Test: ["CMD", "ask.sh"], Interval: 5e9, Timeout: 1.5e9, StartPeriod: 900e9, Retries: 5 },
    },
    NetworkSettings: { Ports: {}, Networks: {} },
  } as unknown as ContainerInspectInfo;

  test("a missing command, where the image has none", () => {
    expect(containerState(found, {})).toMatchObject({ command: [], entrypoints: ["entrypoint.sh"] });
  });

  test("another health check than the image's, in Go's durations", () => {
    const times = { interval: "5s", timeout: "1.5s", startPeriod: "15m0s", startInterval: "0s" };
    expect(containerState(found, {}).healthcheck).toEqual({ tests: ["CMD", "ask.sh"], ...times, retries: 5 });
  });
});
