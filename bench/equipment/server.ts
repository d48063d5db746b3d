import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import type { Core } from "../../components/docker/cpus.ts";
import { cpuSet } from "../../components/docker/cpus.ts";
import { replicaRights } from "../../test/e2e/support/docker.ts";
import { freePort, isHealthy } from "../../test/e2e/support/net.ts";
import type { Workshop } from "../workshop.ts";
import { Impossible } from "../workshop.ts";

export interface ServerOptions {
  image: string;
  /** The cores that it has to itself. */
  cores: readonly Core[];
  environment?: Readonly<Record<string, string>>;
  /** More flags of `docker run`. */
  flags?: readonly string[];
  /** What follows the image's name: arguments of llama-server. */
  args?: readonly string[];
}

/** A llama-server in a container, pinned to cores. */
export interface Server extends AsyncDisposable {
  name: string;
  /** http://127.0.0.1:<port> */
  url: string;
  /** From `docker run` to the first /health that is 200, in ms. */
  startedIn: number;
}

let count = 0;

/** @throws Impossible with the container's last words if it does not start */
export async function startServer(workshop: Workshop, options: ServerOptions): Promise<Server> {
  workshop.signal.throwIfAborted();
  const { image, cores, environment = {}, flags = [], args = [] } = options;
  const port = await freePort();
  const name = `bench-${process.pid}-${count++}`;
  const server: Server = {
    name,
    url: `http://127.0.0.1:${port}`,
    startedIn: 0,
    async [Symbol.asyncDispose]() {
      await execa("docker", ["rm", "--force", name], { reject: false });
    },
  };
  const variables = Object.entries(environment).map(([key, value]) => `--env=${key}=${value}`);
  const pinned = [`--label=${workshop.label}`, `--cpuset-cpus=${cpuSet(cores)}`, `--publish=127.0.0.1:${port}:8080`];
  const began = performance.now();
  await execa("docker", [
    "run",
    "--detach",
    "--name",
    name,
    ...replicaRights,
    ...pinned,
    ...flags,
    ...variables,
    image,
    ...args,
  ]);
  while (!(await isHealthy(server.url))) {
    if (!(await isRunning(name))) {
      const { all } = await execa("docker", ["logs", "--tail", "5", name], { all: true });
      await server[Symbol.asyncDispose]();
      throw new Impossible(`${image} does not start: ${all.replaceAll("\n", " / ")}`);
    }
    await sleep(20);
  }
  server.startedIn = performance.now() - began;
  return server;
}

/** Starts several, one after the other; if one fails, none is left. */
export async function startServers(workshop: Workshop, all: readonly ServerOptions[]): Promise<Server[]> {
  const started: Server[] = [];
  try {
    for (const options of all) started.push(await startServer(workshop, options));
    return started;
  } catch (error) {
    await Promise.all(started.map((server) => server[Symbol.asyncDispose]()));
    throw error;
  }
}

/** Nothing but `work` computes on the machine: every other server stands still meanwhile. */
export async function alone<T>(
  server: Server | undefined,
  others: readonly Server[],
  work: () => Promise<T>,
): Promise<T> {
  const idle = others.filter((other) => other !== server).map(({ name }) => name);
  if (idle.length === 0) return work();
  await execa("docker", ["pause", ...idle]);
  try {
    return await work();
  } finally {
    await execa("docker", ["unpause", ...idle]);
  }
}

async function isRunning(name: string): Promise<boolean> {
  const { stdout } = await execa("docker", ["inspect", "--format", "{{.State.Running}}", name]);
  return stdout === "true";
}
