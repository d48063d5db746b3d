import { randomInt } from "node:crypto";
import { join } from "node:path";
import type { Engine } from "../../components/model/engines.ts";
import { ENGINES } from "../../components/model/engines.ts";
import { writeRandomModel } from "../../tools/syntheticModel.ts";
import { buildImage } from "../../test/e2e/image/build.ts";
import { client } from "../../test/e2e/support/chat.ts";
import { compareLogProbabilities, promptLengths, tolerance } from "../../test/e2e/support/logProbabilities.ts";
import { startServer } from "../equipment/server.ts";
import type { Figure } from "../figures.ts";
import type { Workshop } from "../workshop.ts";
import { Impossible } from "../workshop.ts";

const questionsAtOnce = 40;

/**
 * Wrong answers of fresh starts, to questions that all come at once, on a model whose answers are known; and how far
 * log-probabilities are from plain arithmetic's, on a model whose weights are random.
 */
export async function* answers(workshop: Workshop): AsyncGenerator<Figure> {
  const { starts } = workshop.options;
  for (const engine of ["ik_llama.cpp", "bitnet.cpp"] as const) {
    const slots = ENGINES[engine].maxParallel;
    const what = `${engine}, ${slots} ${slots === 1 ? "slot" : "slots"}: of ${starts * questionsAtOnce} answers after ${starts} starts`;
    try {
      const image = await workshop.serverImage({ engine, optimize: true, size: "tiny" });
      const outcome: Outcome = { wrong: [], failed: [] };
      await workshop.progress.run(`${engine}: ${starts} starts`, async (detail) => {
        for (let start = 0; start < starts; start++) {
          detail(`${start} starts, ${outcome.wrong.length} wrong answers, ${outcome.failed.length} errors`);
          await questionFreshStart(workshop, image, slots, outcome);
        }
      });
      yield { what: `${what}, wrong`, value: outcome.wrong.length, goal: { atMost: 0 }, ...first(outcome.wrong) };
      yield { what: `${what}, missing`, value: outcome.failed.length, goal: { atMost: 0 }, ...first(outcome.failed) };
    } catch (error) {
      if (!(error instanceof Impossible)) throw error;
      yield { what: `${what}, wrong`, unit: "", goal: { atMost: 0 }, note: error.message };
    }
    yield await logProbabilities(workshop, engine);
  }
}

/** What did not come as it should, over all starts. */
interface Outcome {
  /** The answers' texts. */
  wrong: string[];
  /** The errors' messages. */
  failed: string[];
}

async function questionFreshStart(workshop: Workshop, image: string, slots: number, outcome: Outcome): Promise<void> {
  const { answers } = await workshop.model("tiny");
  const cores = (await workshop.cores()).slice(0, 2);
  await using server = await startServer(workshop, { image, cores, environment: { PARALLEL: String(slots) } });
  const openai = client(`${server.url}/v1`);
  const questions = Array.from(
    { length: questionsAtOnce },
    (_, index) => `Which digit is in this prompt: ${index % 10}?`,
  );
  await Promise.all(
    questions.map(async (content) => {
      try {
        const messages = [{ role: "user" as const, content }];
        // The older name, which every llama-server knows.
        const limit = { max_tokens: answers.answerTokens + 1 };
        // In one piece: streams would take the clients more time than the servers, on the same cores.
        const { choices } = await openai.chat.completions.create({
          model: "bitnet",
          messages,
          temperature: 0,
          ...limit,
        });
        const text = choices[0]?.message.content ?? "";
        if (text !== answers.expected(content)) outcome.wrong.push(text);
      } catch (error) {
        outcome.failed.push(String(error));
      }
    }),
  );
  workshop.signal.throwIfAborted();
}

function first(texts: readonly string[]): { unit: string; note?: string } {
  const [text] = texts;
  return { unit: "", ...(text === undefined ? {} : { note: `the first: ${text.slice(0, 100)}` }) };
}

async function logProbabilities(workshop: Workshop, engine: Engine): Promise<Figure> {
  const what = `${engine}: log-probabilities, largest difference to plain arithmetic`;
  const figure = { what, unit: "", goal: { atMost: tolerance } };
  try {
    const { image, model } = await randomModelImage(workshop, engine);
    const cores = (await workshop.cores()).slice(0, 2);
    // What a random model says makes no sense, and the entrypoint would end a server for that.
    await using server = await startServer(workshop, { image, cores, environment: { SMOKE_PROMPT: "" } });
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
async function randomModelImage(workshop: Workshop, engine: Engine): Promise<{ image: string; model: string }> {
  const { files, args } = workshop.engineSource(engine);
  const image = `bench-${engine}-random`;
  const model = join(workshop.folder, `random-${engine}.gguf`);
  await writeRandomModel(model, { seed: randomInt(2 ** 31) });
  await workshop.image(image, async () => {
    const { succeeded, output } = await buildImage({ files: { ...files, model }, args, tag: image });
    if (!succeeded) throw new Impossible(`the image cannot be built: ${output.slice(-300)}`);
  });
  return { image, model };
}
