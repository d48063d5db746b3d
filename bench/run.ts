import { cpus } from "node:os";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { duration } from "../cli/duration.ts";
import { checkout } from "../cli/paths.ts";
import { UserError } from "../components/errors.ts";
import { setup as prepareSources } from "../test/e2e/support/globalSetup.ts";
import type { Figure, PartName, Results } from "./figures.ts";
import { partNames, resultsSchema } from "./figures.ts";
import { answers } from "./benchmarks/answers.ts";
import { build } from "./benchmarks/build.ts";
import { gateway } from "./benchmarks/gateway.ts";
import { growth } from "./benchmarks/growth.ts";
import { slots } from "./benchmarks/slots.ts";
import { start } from "./benchmarks/start.ts";
import { tokens } from "./benchmarks/tokens.ts";
import { users } from "./benchmarks/users.ts";
import { chart } from "./report/chart.ts";
import { textTable } from "./report/table.ts";
import type { BenchOptions, Surroundings } from "./context.ts";
import { BenchContext } from "./context.ts";

/** Each gives its rows as it measures them; what it started is gone when it ends. */
const parts: Record<PartName, (bench: BenchContext) => AsyncGenerator<Figure>> = {
  ...{ tokens, answers, users, gateway, slots, start, build, growth },
};

/**
 * The parts of these names; all if there are none.
 * @throws UserError if there is no part of a name
 */
export function toParts(names: readonly string[]): readonly PartName[] {
  const known = partNames.filter((part) => names.includes(part));
  const unknown = names.find((name) => !partNames.some((part) => part === name));
  if (unknown === undefined) return names.length === 0 ? partNames : known;
  throw new UserError({
    key: "part",
    value: unknown,
    wrong: "there is none of that name",
    right: partNames.join(", "),
  });
}

/**
 * Measures, and writes what came out into a folder: results.json, in which parts that did not run keep their figures of
 * before, and chart.svg.
 * @param names the parts to run, in this order
 * @returns the table
 */
export async function runBench(
  names: readonly PartName[],
  options: BenchOptions,
  folder: string,
  { progress, signal }: Surroundings,
): Promise<string> {
  await prepareSources();
  const results = await readResults(folder);
  await using bench = await BenchContext.open(options, results, { progress, signal });
  for (const name of names) {
    const began = Date.now();
    const figures = await measure(name, bench);
    // What was cut off says nothing.
    signal.throwIfAborted();
    const about = { date: new Date(began).toISOString(), commit: await commit(), machine: machine() };
    results[name] = { ...about, model: options.size, seconds: Math.round((Date.now() - began) / 1000), figures };
    await writeResults(folder, results);
    progress.note(`${name}: ${duration(Date.now() - began)}`);
  }
  return textTable(Object.fromEntries(names.map((name) => [name, results[name]])));
}

/** A part that fails does not fail the run: what it measured until then counts, and the reason is its last row. */
async function measure(name: PartName, bench: BenchContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  try {
    for await (const figure of parts[name](bench)) figures.push(figure);
  } catch (error) {
    const note = error instanceof Error ? error.message.replaceAll(/\s+/g, " ").slice(0, 300) : String(error);
    figures.push({ what: `${name}: the rest`, unit: "", note });
  }
  return figures;
}

/** @returns what bench/results/results.json says; nothing if there is no such file */
export async function readResults(folder: string): Promise<Results> {
  const text = await readFile(join(folder, "results.json"), "utf8").catch(() => "{}");
  return resultsSchema.parse(JSON.parse(text));
}

async function writeResults(folder: string, results: Results): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "results.json"), `${JSON.stringify(results, undefined, 2)}\n`);
  await writeFile(join(folder, "chart.svg"), chart(results));
}

async function commit(): Promise<string> {
  const { stdout } = await execa("git", ["describe", "--always", "--dirty=+"], { cwd: checkout, reject: false });
  return stdout;
}

function machine(): string {
  const all = cpus();
  return `${all.length} × ${all[0]?.model.trim() ?? "unknown"}`;
}
