import Docker from "dockerode";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { platform } from "node:os";
import type { Problem } from "../errors.ts";
import { UserError } from "../errors.ts";
import type { MemoryNeed } from "../model/memory.ts";
import { memoryProblem } from "../model/memory.ts";
import type { Room } from "../model/slots.ts";
import type { Core } from "./cpus.ts";
import { engineCpus, groupIntoCores, parseCpuList } from "./cpus.ts";

/** The resources of the Docker Engine's machine. */
export interface Machine {
  cores: readonly Core[];
  /** Whether the cores' CPU ids are the engine's. Otherwise only their number is known, and nothing can be pinned. */
  cpuIdsKnown: boolean;
  memoryBytes: number;
  /** How much of it this stack's running replicas may use: their memory limits. */
  replicasBytes: number;
  /** Those of the given ports that something other than this stack listens on. */
  portsInUse: readonly number[];
  /** Whether the given address is this machine's; true if this process cannot tell. */
  hasAddress: boolean;
}

/** What a stack requires of the machine, as far as it is known; only that is checked. */
export interface Demand {
  replicas?: number | undefined;
  threads?: number | undefined;
  /** One replica's need. */
  memory?: MemoryNeed | undefined;
  bindAddress: string;
  ports: Ports;
}

/** Identifies the stack's own containers. */
export interface Owner {
  /** Undefined: the stack is new. */
  id: string | undefined;
  stack: string;
}

/** Port numbers by the setting that names them. */
export type Ports = Readonly<
  Partial<Record<"port" | "statsPort" | "monitoringPort" | "registryPort", number | undefined>>
>;

/** The share of the machine's memory that replicas may lock. The rest is for the system and other programs. */
export const usableMemory = 0.9;

/**
 * Asks the Docker Engine and, for the ports, the operating system.
 * @param owner whose containers' ports do not count as in use
 * @param bindAddress where `ports.port` is to be opened; the others are opened on loopback
 * @throws UserError if the engine cannot be reached, with what to do about it
 */
export async function inspectMachine(owner: Owner, bindAddress: string, ports: Ports): Promise<Machine> {
  const docker = new Docker();
  try {
    const { NCPU, MemTotal } = (await docker.info()) as { NCPU: number; MemTotal: number };
    const labelled = await docker.listContainers({ filters: { label: ["bitnet-server.stack"] } });
    const containers = labelled.filter(({ Labels }) => isOwn(Labels, owner));
    const replicas = containers.filter(({ Labels }) => Labels["bitnet-server.role"] === "replica");
    const limits = await Promise.all(replicas.map(async ({ Id }) => memoryLimit(docker, Id)));
    const own = new Set(containers.flatMap(({ Ports }) => Ports.map(({ PublicPort }) => PublicPort)));
    const used: number[] = [];
    // One after the other: two settings with the same port would conflict.
    for (const [key, port] of portEntries(ports).filter(([, port]) => !own.has(port))) {
      if ((await listenError(key === "port" ? bindAddress : "127.0.0.1", port)) === "EADDRINUSE") used.push(port);
    }
    return {
      ...readCores(NCPU),
      memoryBytes: MemTotal,
      replicasBytes: limits.reduce((sum, limit) => sum + limit, 0),
      portsInUse: used,
      hasAddress: !engineIsHere() || (await listenError(bindAddress, 0)) !== "EADDRNOTAVAIL",
    };
  } catch (error) {
    throw new UserError(engineProblem(error as NodeJS.ErrnoException));
  }
}

/** Versions without ids labelled containers with the stack's name only. An update replaces such containers. */
function isOwn(labels: Readonly<Record<string, string>>, { id, stack }: Owner): boolean {
  const owner = labels["bitnet-server.id"];
  return owner === undefined ? labels["bitnet-server.stack"] === stack : owner === id;
}

/** Compares a stack's demand with the machine. Reports all problems, not just the first. A pure function. */
export function checkMachine(machine: Machine, demand: Demand): Problem[] {
  const { cores, memoryBytes, portsInUse } = machine;
  const { replicas } = demand;
  const problems: Problem[] = [];
  if (replicas !== undefined && replicas > cores.length) {
    problems.push({
      key: "replicas",
      value: replicas,
      wrong: `each replica needs a physical core of its own, and this machine has ${cores.length}`,
      right: `at most ${cores.length}`,
    });
  }
  const largestShare = Math.ceil(cores.length / (replicas ?? 1));
  if (demand.threads !== undefined && demand.threads > largestShare) {
    problems.push({
      key: "threads",
      value: demand.threads,
      wrong: `a replica has ${largestShare} of this machine's ${cores.length} CPU cores`,
      right: `at most ${largestShare}; or unset, and the replica takes one for each of its cores`,
    });
  }
  if (demand.memory !== undefined && replicas !== undefined) {
    const here = { available: lockable(memoryBytes), where: "memory that may be locked here" };
    const shortage = memoryProblem(demand.memory, replicas, here);
    if (shortage !== undefined) problems.push(shortage);
  }
  if (!machine.hasAddress) {
    const right = "one of this machine's addresses, or 0.0.0.0 for all of them";
    problems.push({ key: "bindAddress", value: demand.bindAddress, wrong: "this machine has no such address", right });
  }
  for (const [key, port] of portEntries(demand.ports)) {
    if (portsInUse.includes(port)) {
      problems.push({ key, value: port, wrong: "another program listens on this port", right: "a port that is free" });
    }
  }
  return problems;
}

function portEntries(ports: Ports): [key: string, port: number][] {
  return Object.entries(ports).flatMap(([key, port]) => (port === undefined ? [] : [[key, port]]));
}

/** Whether one more replica fits beside the running ones, so that a new one can start before the old one stops. */
export function hasRoomForNext(machine: Pick<Machine, "memoryBytes" | "replicasBytes">, need: MemoryNeed): boolean {
  return machine.replicasBytes + need.total <= lockable(machine.memoryBytes);
}

/** What each replica has for itself, and a single one's successor, which loads its model before the old one goes. */
export function roomOf({ cores, memoryBytes }: Machine, { replicas = 1, threads }: Partial<Demand>): Room {
  const each = Math.floor(cores.length / replicas);
  return { cores: threads ?? each, memory: lockable(memoryBytes) / Math.max(2, replicas) };
}

function lockable(memoryBytes: number): number {
  return Math.floor(usableMemory * memoryBytes);
}

/** 0 for a container that has no limit, or has ended meanwhile. */
async function memoryLimit(docker: Docker, id: string): Promise<number> {
  try {
    return (await docker.getContainer(id).inspect()).HostConfig.Memory ?? 0;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return 0;
    throw error;
  }
}

/** One message for each reason why a Docker Engine is unavailable. */
function engineProblem(error: NodeJS.ErrnoException): Problem {
  const socket = process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
  if (error.code === "EACCES") {
    return {
      key: "Docker",
      value: socket,
      wrong: "this user may not talk to the Docker Engine",
      right: "sudo usermod -aG docker $USER, then log in again",
    };
  }
  return {
    key: "Docker",
    value: socket,
    wrong: `the Docker Engine does not answer (${error.code ?? error.message})`,
    right: "start it: sudo systemctl start docker (Linux), or Docker Desktop; DOCKER_HOST says where it is",
  };
}

/**
 * The engine's CPUs, grouped by core. Only Linux reports the cores; elsewhere each CPU counts as a core, and the engine
 * runs in a virtual machine, which numbers them from 0.
 */
function readCores(count: number): Pick<Machine, "cores" | "cpuIdsKnown"> {
  const guess = Array.from({ length: count }, (_, cpu) => cpu);
  if (platform() !== "linux") return { cores: groupIntoCores(guess, new Map()), cpuIdsKnown: true };
  const online = parseCpuList(readFileSync("/sys/devices/system/cpu/online", "utf8"));
  const [, allowed = ""] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  const cpus = engineCpus(count, online, parseCpuList(allowed));
  if (cpus === undefined) return { cores: groupIntoCores(guess, new Map()), cpuIdsKnown: false };
  return { cores: groupIntoCores(cpus, new Map(cpus.flatMap(siblingsOf))), cpuIdsKnown: true };
}

/** Not every machine reports this; without it, the CPU counts as a core. */
function siblingsOf(cpu: number): [number, string][] {
  try {
    const path = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
    return [[cpu, readFileSync(path, "utf8").trim()]];
  } catch {
    return [];
  }
}

/**
 * Whether the engine opens its ports on the machine that this process runs on. Elsewhere it may be in a virtual one.
 */
function engineIsHere(): boolean {
  const { DOCKER_HOST: host } = process.env;
  return platform() === "linux" && (host === undefined || host === "" || host.startsWith("unix://"));
}

/**
 * Why this process cannot listen there; undefined if it can. Other refusals (a port below 1024, say) are ignored,
 * because the engine may be allowed to.
 */
async function listenError(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", ({ code }: NodeJS.ErrnoException) => {
      resolve(code);
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => {
        resolve(undefined);
      });
    });
  });
}
