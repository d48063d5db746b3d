import { ENGINES } from "../../components/model/engines.ts";
import { client } from "../../test/e2e/support/chat.ts";
import { ask } from "../equipment/load.ts";
import { startServer } from "../equipment/server.ts";
import type { Figure } from "../figures.ts";
import type { Workshop } from "../workshop.ts";
import { Impossible } from "../workshop.ts";

const questionsAtOnce = 40;

/** Wrong answers of fresh starts, to questions that all come at once, on a model whose answers are known. */
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
        const answerTokens = answers.answerTokens + 1;
        const { text } = await ask(openai, { messages: [{ role: "user", content }], answerTokens });
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
