import type { Problem } from "../errors.ts";
import type { Architecture } from "../image/cpuTarget.ts";
import { architectureOf, cpuTargetOf, familyOf, sameInstructions } from "../image/cpuTarget.ts";
import type { MemoryNeed } from "../model/memory.ts";
import { memoryProblem } from "../model/memory.ts";
import { besideServerMiB } from "./service/taskDefinition.ts";

/** What AWS says about an instance type. */
export interface InstanceFacts {
  type: string;
  architecture: Architecture;
  vcpus: number;
  /** Physical cores. */
  cores: number;
  memoryBytes: number;
  /** It may use its CPU fully only while it has credits. */
  burstable: boolean;
  /** It has GPUs or other accelerators, which this server would leave idle. */
  accelerated: boolean;
}

/** What a stack requires of an instance. */
export interface InstanceDemand {
  /** The replica's memory need, if known; each instance has one replica. */
  memory?: MemoryNeed | undefined;
  /** `native` or a CPU's name. */
  cpuTarget: string;
  threads?: number | undefined;
}

const MIB = 2 ** 20;

/**
 * ECS places a task only if its containers' memory is free out of what the agent registers: the memory that the kernel
 * has, without the firmware's and its own. That is about 7 % less than the type's nominal memory (Karpenter's default
 * VM_MEMORY_OVERHEAD_PERCENT is 7.5), and somewhat less still on small types. If we count less than AWS, we may refuse
 * a type that is just enough; if we count more, we accept a type on which no task is ever placed.
 */
const registered = { part: 0.9, lessMiB: 128 };

/**
 * What is wrong with an instance type for this demand.
 * @param sizes the family's other sizes, to name the smallest that is enough; only used if memory is too small
 */
export function checkInstance(
  facts: InstanceFacts,
  demand: InstanceDemand,
  sizes: readonly InstanceFacts[] = [],
): Problem[] {
  const { type, architecture, cores } = facts;
  const problems: Problem[] = [];
  if (facts.accelerated) {
    const wrong = "it has GPUs or other accelerators, which this server does not use: BitNet runs on the CPU";
    problems.push({ key: "instanceType", value: type, wrong, right: "a CPU-optimised type, such as c7a.2xlarge" });
  }
  const fixed = architectureOf(demand.cpuTarget);
  if (fixed !== undefined && fixed !== architecture) {
    const wrong = `it is for ${fixed}, and a ${type} is ${architecture}`;
    const right = `native (here ${cpuTargetOf(type, architecture).name}), or an instanceType of ${fixed}`;
    problems.push({ key: "cpuTarget", value: demand.cpuTarget, wrong, right });
  }
  if (demand.threads !== undefined && demand.threads > cores) {
    const wrong = `a ${type} has ${cores} physical cores`;
    problems.push({ key: "threads", value: demand.threads, wrong, right: `at most ${cores}, or unset` });
  }
  const where = { available: usable(facts), where: `memory that ECS leaves for the server on a ${type}` };
  const shortage = demand.memory === undefined ? undefined : memoryProblem(demand.memory, 1, where);
  if (shortage !== undefined) {
    const right = smallestThatFits(facts, demand, sizes);
    problems.push({ key: "instanceType", value: type, wrong: shortage.wrong, right });
  }
  return problems;
}

/**
 * What works, but perhaps not as intended.
 * @param cpuTarget undefined: the image was built elsewhere
 */
export function instanceWarnings(facts: InstanceFacts, cpuTarget: string | undefined): string[] {
  const { type, architecture, burstable } = facts;
  const target = cpuTargetOf(type, architecture);
  return [
    ...(burstable
      ? [`instanceType ${type} is burstable: once its CPU credits are used up it computes at a fraction of its speed`]
      : []),
    ...(cpuTarget === "native" && !target.known
      ? [`instanceType ${type}: its CPU is not in the table, so the image is built for any ${target.name}, and slower`]
      : []),
  ];
}

/** Whether ECS can place the task on the instance. */
export function fits(facts: InstanceFacts, { memory }: Pick<InstanceDemand, "memory">): boolean {
  return memory === undefined || memory.total <= usable(facts);
}

/**
 * The types that an Auto Scaling group may use instead: on demand none, with spot every type that runs the same code.
 */
export function alternatives({ type, architecture }: InstanceFacts, spot: number): string[] {
  return spot === 0 ? [] : sameInstructions(type, architecture).filter((other) => other !== type);
}

/** Memory that the server may use, in bytes: what ECS registers, minus the task's other containers. */
export function usable({ memoryBytes }: InstanceFacts): number {
  const bytes = registered.part * memoryBytes - (registered.lessMiB + besideServerMiB) * MIB;
  return Math.max(0, Math.floor(bytes));
}

function smallestThatFits(facts: InstanceFacts, demand: InstanceDemand, sizes: readonly InstanceFacts[]): string {
  const [smallest] = sizes.filter((size) => fits(size, demand)).toSorted((a, b) => a.memoryBytes - b.memoryBytes);
  const family = familyOf(facts.type);
  return smallest === undefined
    ? `a type of another family: none of ${family}'s sizes has the memory`
    : `${smallest.type}, the smallest of ${family} that does, or a smaller contextSize or model`;
}

/** Size of the root snapshot of ECS's Amazon Linux 2023; EC2 refuses a smaller disk (InvalidBlockDeviceMapping). */
const snapshotGb = 30;

/**
 * The size of an instance's disk, in GB: Amazon Linux (uses some 8), and the server's image twice, as pulled and
 * unpacked, with half a GB of engine and Debian, plus a fifth for logs and the like. At least as large as the snapshot
 * that it is created from.
 * @param modelBytes the size of the model's file
 */
export function volumeGb(modelBytes: number): number {
  const image = modelBytes / 1e9 + 0.5;
  return Math.max(snapshotGb, Math.ceil(1.2 * (8 + 2 * image)));
}
