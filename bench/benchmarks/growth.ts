import { execa } from "execa";
import { z } from "zod";
import { checkout } from "../../cli/paths.ts";
import { monthlyCost } from "../../components/aws/prices.ts";
import { mostChosenSlots, sideBySide } from "../../components/model/slots.ts";
import type { Figure, Results } from "../figures.ts";
import type { InstanceSpeed, Usage } from "../growth/simulation.ts";
import { replicasFor, simulate } from "../growth/simulation.ts";
import { median } from "../statistics.ts";
import type { BenchContext } from "../context.ts";
import { ours } from "./tokens.ts";

/** How the program grows with a stack, and what the aws target comes to with its users. */
export async function* growth(bench: BenchContext): AsyncGenerator<Figure> {
  // A short thing, and a small difference: more often than the others.
  yield* program(3 * bench.options.repetitions);
  yield* aws(bench.results);
}

const run = z.object({ milliseconds: z.number(), megabytes: z.number() });

/** 64 is the most that the setting `replicas` allows. */
const sizes = [1, 10, 32, 64];

async function* program(repetitions: number): AsyncGenerator<Figure> {
  const runs = sizes.map((): z.infer<typeof run>[] => []);
  for (let turn = 0; turn < repetitions; turn++) {
    for (const [index, replicas] of sizes.entries()) {
      const flags = ["--no-warnings", "--experimental-test-module-mocks"];
      const args = [...flags, "bench/growth/program.ts", String(replicas)];
      const { stdout } = await execa(process.execPath, args, { cwd: checkout });
      runs[index]?.push(run.parse(JSON.parse(stdout)));
    }
  }
  for (const [quantity, name, unit] of [
    ["milliseconds", "CPU time", "ms"],
    ["megabytes", "memory", "MB"],
  ] as const) {
    const values = runs.map((all) => median(all.map((each) => each[quantity])));
    for (const [index, value] of values.entries()) {
      yield { what: `program, ${sizes[index] ?? 0} replicas: ${name}`, value, unit };
    }
    const [, ten = 0, thirtyTwo = 0, sixtyFour = 0] = values;
    yield {
      what: `program: ${name} of a further replica, from 32 to 64, to that from 10 to 32`,
      value: (sixtyFour - thirtyTwo) / 32 / ((thirtyTwo - ten) / 22),
      unit: "×",
      goal: { atMost: 1.5 },
      note: "linear is 1, quadratic 2.3",
    };
  }
}

/** Someone who chats: reads an answer for a minute, asks with the conversation so far, and gets a paragraph. */
const usage: Usage = { think: 60, prompt: 300, answer: 200 };

/** Families of prices.ts by physical cores for each vCPU: x86 ones but AMD's from 7 on have two threads a core. */
const families = { c7a: 1, c8g: 1, c7g: 1, m7a: 1, c7i: 0.5, c6i: 0.5, c6a: 0.5 } as const;

/** An instance of the size 2xlarge. */
const vcpus = 8;

const secondsPerMonth = 730 * 3600;

function* aws(results: Results): Generator<Figure> {
  const twoCores = measuredSpeed(results);
  if (twoCores === undefined) {
    yield {
      what: "the aws target",
      unit: "replicas",
      note: "it reckons with what the part tokens measures: run that first",
    };
    return;
  }
  for (const users of [10, 1_000, 100_000]) {
    const speed = scaled(twoCores, vcpus);
    const replicas = replicasFor(users, usage, speed);
    const questions = Math.max(20_000, 3 * users);
    const { firstToken, busy } = simulate({ users, usage, speed, replicas, questions, seed: 1 });
    const name = `aws, ${users.toLocaleString("en")} users`;
    yield { what: `${name}: c7a.2xlarge instances`, value: replicas, unit: "instances", note: limits(replicas) };
    yield { what: `${name}: first token, p50`, value: firstToken.p50, unit: "s" };
    yield { what: `${name}: first token, p95`, value: firstToken.p95, unit: "s" };
    yield { what: `${name}: slots in use`, value: 100 * busy, unit: "%" };
  }
  for (const [family, coresPerVcpu] of Object.entries(families)) {
    for (const users of [10, 1_000, 100_000]) {
      yield costPerMillion(family, scaled(twoCores, vcpus * coresPerVcpu), users);
    }
  }
}

function measuredSpeed(results: Results): InstanceSpeed | undefined {
  const value = (phase: string) => results.tokens?.figures.find(({ what }) => what === `${ours}: ${phase}`)?.value;
  const [prefill, decode] = [value("prefill"), value("decode")];
  if (prefill === undefined || decode === undefined) return undefined;
  return {
    prefill,
    decode,
    slots: mostChosenSlots,
    sideBySide: (answers) => sideBySide("ik_llama.cpp", answers, "others"),
  };
}

/** Cores read prompts in proportion; what decodes is memory, of which a server has about as much for each core. */
function scaled({ prefill, decode, ...speed }: InstanceSpeed, cores: number): InstanceSpeed {
  return { ...speed, prefill: (prefill * cores) / 2, decode: (decode * cores) / 2 };
}

function costPerMillion(family: string, speed: InstanceSpeed, users: number): Figure {
  const replicas = replicasFor(users, usage, speed);
  const { tokensPerSecond } = simulate({ users, usage, speed, replicas, questions: 20_000, seed: 1 });
  const network = { zones: 2, internal: false, endpoints: 0, natGateways: 2 };
  const fleet = { minReplicas: replicas, maxReplicas: replicas, volumeGb: 30, ...network };
  const cost = monthlyCost({ ...fleet, instanceType: `${family}.2xlarge`, vcpus, alarms: 4, rateLimited: false });
  const what = `aws, ${users.toLocaleString("en")} users: a million tokens on ${family}.2xlarge`;
  if (cost === undefined) return { what, unit: "$", note: `no price of ${family}` };
  return { what, value: (1e6 * cost.least) / (tokensPerSecond * secondsPerMonth), unit: "$" };
}

/** What stands in the way of so many instances; docs/performance.md says what to turn. */
function limits(replicas: number): string {
  return [
    replicas > 500 ? "more than the setting maxReplicas allows (500)" : "",
    replicas > 1000 ? "more than a load balancer's targets (1,000)" : "",
  ]
    .filter((limit) => limit !== "")
    .join("; ");
}
