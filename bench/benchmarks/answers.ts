import { randomInt } from "node:crypto";
import { join } from "node:path";
import type { Engine } from "../../components/model/engines.ts";
import { ENGINES } from "../../components/model/engines.ts";
import { writeRandomModel } from "../../tools/syntheticModel.ts";
import { buildImage } from "../../test/e2e/image/build.ts";
import type { CrowdOutcome } from "../../test/e2e/support/crowd.ts";
import { askCrowd, crowdKinds, crowdSize } from "../../test/e2e/support/crowd.ts";
import { compareLogProbabilities, promptLengths, tolerance } from "../../test/e2e/support/logProbabilities.ts";
import { startServer } from "../fixtures/server.ts";
import type { Figure } from "../figures.ts";
import type { BenchContext } from "../context.ts";
import { Impossible } from "../context.ts";

/** With how many slots an engine is asked: the most that it answers rightly with, and half as many. */
const slotsOf = (engine: Engine): number[] => [ENGINES[engine].maxParallel / 2, ENGINES[engine].maxParallel];

/**
 * Wrong answers of fresh starts, to short and long questions and conversations that all come at once, while other clients
 * leave, on a model whose answers are known; and how far log-probabilities are from plain arithmetic's, on a model whose
 * weights are random.
 */
export async function* answers(bench: BenchContext): AsyncGenerator<Figure> {
  for (const engine of ["ik_llama.cpp", "bitnet.cpp"] as const) {
    for (const slots of slotsOf(engine)) yield* freshStarts(bench, engine, slots);
    yield await logProbabilities(bench, engine);
  }
}

async function* freshStarts(bench: BenchContext, engine: Engine, slots: number): AsyncGenerator<Figure> {
  const { starts } = bench.options;
  const what = `${engine}, ${slots} slots: of ${starts * crowdSize} users after ${starts} starts`;
  try {
    const image = await bench.serverImage({ engine, optimize: true, size: "tiny" });
    const outcome: CrowdOutcome = { wrong: [], missing: [] };
    await bench.progress.run(`${engine}, ${slots} slots: ${starts} starts`, async (detail) => {
      for (let start = 0; start < starts; start++) {
        detail(`${start} starts, ${outcome.wrong.length} wrong answers, ${outcome.missing.length} missing`);
        await questionFreshStart(bench, { image, slots, start, outcome });
      }
    });
    yield {
      what: `${what}, answered wrongly`,
      value: outcome.wrong.length,
      goal: { atMost: 0 },
      ...first(outcome.wrong),
    };
    yield {
      what: `${what}, not answered`,
      value: outcome.missing.length,
      goal: { atMost: 0 },
      ...first(outcome.missing),
    };
  } catch (error) {
    if (!(error instanceof Impossible)) throw error;
    yield { what: `${what}, answered wrongly`, unit: "", goal: { atMost: 0 }, note: error.message };
  }
}

interface FreshStart {
  image: string;
  slots: number;
  /** Its number, which decides what is asked. */
  start: number;
  /** To which is added what goes wrong. */
  outcome: CrowdOutcome;
}

async function questionFreshStart(bench: BenchContext, { image, slots, start, outcome }: FreshStart): Promise<void> {
  const { answers } = await bench.model("tiny");
  const cores = (await bench.cores()).slice(0, 2);
  await using server = await startServer(bench, { image, cores, environment: { PARALLEL: String(slots) } });
  const kind = crowdKinds[start % crowdKinds.length] ?? "mixed";
  const { wrong, missing } = await askCrowd(server.url, answers, kind, start);
  outcome.wrong.push(...wrong);
  outcome.missing.push(...missing);
  bench.signal.throwIfAborted();
}

function first(texts: readonly string[]): { unit: string; note?: string } {
  const [text] = texts;
  return { unit: "", ...(text === undefined ? {} : { note: `the first: ${text.slice(0, 100)}` }) };
}

async function logProbabilities(bench: BenchContext, engine: Engine): Promise<Figure> {
  const what = `${engine}: log-probabilities, largest difference to plain arithmetic`;
  const figure = { what, unit: "", goal: { atMost: tolerance } };
  try {
    const { image, model } = await randomModelImage(bench, engine);
    const cores = (await bench.cores()).slice(0, 2);
    // What a random model says makes no sense, and the entrypoint would end a server for that.
    await using server = await startServer(bench, { image, cores, environment: { SMOKE_PROMPT: "" } });
    const differences: number[] = [];
    for (const length of promptLengths) {
      const { largestDifference } = await compareLogProbabilities(server.url, model, length);
      differences.push(largestDifference);
    }
    return { ...figure, value: Math.max(...differences) };
  } catch (error) {
    if (!(error instanceof Impossible)) throw error;
    return { ...figure, note: error.message };
  }
}

/** The image of an engine with a model drawn in this run. */
async function randomModelImage(bench: BenchContext, engine: Engine): Promise<{ image: string; model: string }> {
  const { files, args } = bench.engineSource(engine);
  const image = `bench-${engine}-random`;
  const model = join(bench.folder, `random-${engine}.gguf`);
  await writeRandomModel(model, { seed: randomInt(2 ** 31) });
  await bench.image(image, async () => {
    const { succeeded, output } = await buildImage({ files: { ...files, model }, args, tag: image });
    if (!succeeded) throw new Impossible(`the image cannot be built: ${output.slice(-300)}`);
  });
  return { image, model };
}
