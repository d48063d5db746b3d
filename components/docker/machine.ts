import Docker from "dockerode";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Problem } from "../errors.ts";
import { UserError } from "../errors.ts";
import type { MemoryNeed } from "../model/memory.ts";
import { memoryProblem } from "../model/memory.ts";
import type { Core } from "./cpus.ts";
import { groupIntoCores, parseCpuList } from "./cpus.ts";

/** What the Docker Engine's machine has to give. */
export interface Machine {
  cores: readonly Core[];
  memoryBytes: number;
  /** Ports that something other than this stack listens on, of those that were asked about. */
  portsInUse: readonly number[];
}

/** What a stack wants of the machine. */
export interface Demand {
  replicas: number;
  threads?: number | undefined;
  /** What one replica needs. */
  memory: MemoryNeed;
  ports: Ports;
}

/** Port numbers by the setting that names them. */
export type Ports = Readonly<Record<"port" | "statsPort" | "registryPort", number>>;

/** The part of the machine's memory that replicas may lock; the rest is for the system and for what else runs. */
const usableMemory = 0.9;

/**
 * Asks the Docker Engine and, for the ports, the operating system.
 * @param stack its own containers' ports do not count as in use
 * @param bindAddress where `ports.port` is to be opened; the others are opened on loopback
 * @throws UserError if the engine cannot be reached, with what to do about it
 */
export async function inspectMachine(stack: string, bindAddress: string, ports: Ports): Promise<Machine> {
  const docker = new Docker();
  try {
    const { NCPU, MemTotal } = (await docker.info()) as { NCPU: number; MemTotal: number };
    const containers = await docker.listContainers({ filters: { label: [`bitnet-server.stack=${stack}`] } });
    const own = new Set(containers.flatMap(({ Ports }) => Ports.map(({ PublicPort }) => PublicPort)));
    const others = Object.entries(ports).filter(([, port]) => !own.has(port));
    const used = await Promise.all(
      others.map(async ([key, port]) =>
        (await isFree(key === "port" ? bindAddress : "127.0.0.1", port)) ? [] : [port],
      ),
    );
    return { cores: groupIntoCores(...readTopology(NCPU)), memoryBytes: MemTotal, portsInUse: used.flat() };
  } catch (error) {
    throw new UserError(engineProblem(error as NodeJS.ErrnoException));
  }
}

/** @throws UserError if the machine has not what the stack demands */
export function requireMachine(machine: Machine, demand: Demand): void {
  const problems = checkMachine(machine, demand);
  if (problems.length > 0) {
    throw new UserError(...problems);
  }
}

/** Compares a stack's demand with the machine: all mistakes, not just the first. A pure function. */
export function checkMachine(machine: Machine, demand: Demand): Problem[] {
  const { cores, memoryBytes, portsInUse } = machine;
  const problems: Problem[] = [];
  if (demand.replicas > cores.length) {
    problems.push({
      key: "replicas",
      value: demand.replicas,
      wrong: `each replica needs a physical core of its own, and this machine has ${cores.length}`,
      right: `at most ${cores.length}`,
    });
  }
  const largestShare = Math.ceil(cores.length / demand.replicas);
  if (demand.threads !== undefined && demand.threads > largestShare) {
    problems.push({
      key: "threads",
      value: demand.threads,
      wrong: `a replica has ${largestShare} of this machine's ${cores.length} CPU cores`,
      right: `at most ${largestShare}, or nothing: it is found out when the replica starts`,
    });
  }
  const available = Math.floor(usableMemory * memoryBytes);
  const shortage = memoryProblem(demand.memory, demand.replicas, {
    available,
    where: "memory that may be locked here",
  });
  if (shortage !== undefined) {
    problems.push(shortage);
  }
  for (const [key, port] of Object.entries(demand.ports)) {
    if (portsInUse.includes(port)) {
      problems.push({ key, value: port, wrong: "another program listens on this port", right: "a port that is free" });
    }
  }
  return problems;
}

/** One message for each way in which a Docker Engine cannot be had. */
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

/** The engine's CPUs, and which of them share a core. Only Linux tells; elsewhere each CPU counts as a core. */
function readTopology(count: number): [number[], Map<number, string>] {
  const siblings = new Map<number, string>();
  try {
    const online = parseCpuList(readFileSync("/sys/devices/system/cpu/online", "utf8"));
    if (online.length === count) {
      for (const cpu of online) {
        const path = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
        siblings.set(cpu, readFileSync(path, "utf8").trim());
      }
      return [online, siblings];
    }
  } catch {
    // Not Linux, or the engine is on another machine: what is here says nothing about it.
  }
  return [Array.from({ length: count }, (_, cpu) => cpu), siblings];
}

/** Any other refusal (a port below 1024, an address of the engine's machine) is not in this process's power to judge. */
async function isFree(address: string, port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", ({ code }: NodeJS.ErrnoException) => {
      resolve(code !== "EADDRINUSE");
    });
    server.listen({ host: address, port, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
