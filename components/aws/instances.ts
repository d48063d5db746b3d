import type { Problem } from "../errors.ts";
import type { Architecture } from "../image/cpuTarget.ts";
import { architectureOf, cpuTargetOf, familyOf, sameInstructions } from "../image/cpuTarget.ts";
import type { MemoryNeed } from "../model/memory.ts";
import { memoryProblem } from "../model/memory.ts";

/** What AWS says about an instance type. */
export interface InstanceFacts {
  type: string;
  architecture: Architecture;
  vcpus: number;
  /** Physical cores. */
  cores: number;
  memoryBytes: number;
  /** Its CPU may be used fully only while it has credits. */
  burstable: boolean;
  /** It has GPUs or other accelerators, which this server would leave idle. */
  accelerated: boolean;
}

/** What a stack wants of an instance. */
export interface InstanceDemand {
  /** What the replica needs, if it is known; there is one on each instance. */
  memory?: MemoryNeed | undefined;
  /** `native` or a CPU's name. */
  cpuTarget: string;
  threads?: number | undefined;
}

/** The part of an instance's memory that the server may lock; the rest is for the system, as in the docker target. */
const usableMemory = 0.9;

/**
 * What is wrong with an instance type for this demand.
 * @param sizes the family's other sizes, for naming the smallest that does; only looked at where memory does not suffice
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
  const where = { available: usable(facts), where: `memory that may be locked on a ${type}` };
  const shortage = demand.memory === undefined ? undefined : memoryProblem(demand.memory, 1, where);
  if (shortage !== undefined) {
    const right = smallestThatFits(facts, demand, sizes);
    problems.push({ key: "instanceType", value: type, wrong: shortage.wrong, right });
  }
  return problems;
}

/** What works, but perhaps not as meant. */
export function instanceWarnings(facts: InstanceFacts, cpuTarget: string): string[] {
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

/** Whether the replica and the system fit into the instance's memory. */
export function fits(facts: InstanceFacts, { memory }: Pick<InstanceDemand, "memory">): boolean {
  return memory === undefined || memory.total <= usable(facts);
}

/** The types that an Auto Scaling group may take instead: none on demand; with spot, whatever runs the same code. */
export function alternatives({ type, architecture }: InstanceFacts, spot: number): string[] {
  return spot === 0 ? [] : sameInstructions(type, architecture).filter((other) => other !== type);
}

function usable({ memoryBytes }: InstanceFacts): number {
  return Math.floor(usableMemory * memoryBytes);
}

function smallestThatFits(facts: InstanceFacts, demand: InstanceDemand, sizes: readonly InstanceFacts[]): string {
  const [smallest] = sizes.filter((size) => fits(size, demand)).toSorted((a, b) => a.memoryBytes - b.memoryBytes);
  const family = familyOf(facts.type);
  return smallest === undefined
    ? `a type of another family: none of ${family}'s sizes has the memory`
    : `${smallest.type}, the smallest of ${family} that does, or a smaller contextSize or model`;
}

/**
 * The size of an instance's disk, in GB: Amazon Linux (its image has 8), and the server's image twice, as it comes and
 * unpacked; with half a GB of engine and Debian, and a fifth for logs and what else comes.
 * @param modelBytes the size of the model's file
 */
export function volumeGb(modelBytes: number): number {
  const image = modelBytes / 1e9 + 0.5;
  return Math.ceil(1.2 * (8 + 2 * image));
}
