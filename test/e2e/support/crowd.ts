import { setTimeout as sleep } from "node:timers/promises";
import type OpenAI from "openai";
import { letters } from "../../../bench/fixtures/load.ts";
import { seededRandom } from "../../../bench/statistics.ts";
import type { Answers } from "../../../tools/answerProgram.ts";
import { client } from "./chat.ts";

/** What a user asks: one short question, one about 400 letters, or three turns of a conversation; or these in turns. */
export const crowdKinds = ["short", "long", "conversation", "mixed"] as const;
export type CrowdKind = (typeof crowdKinds)[number];

/** Each question is asked at once with the others, and every fourth beside a client that leaves. */
export const crowdSize = 40;

/** What did not come as it should. */
export interface CrowdOutcome {
  /** Texts other than the known ones. */
  wrong: string[];
  /** Messages of errors, one of which is that nothing came within two minutes. */
  missing: string[];
}

/** {@link crowdSize} users at once. `url` is the server's, without /v1; `seed` draws letters, and when clients leave. */
export async function askCrowd(url: string, answers: Answers, kind: CrowdKind, seed: number): Promise<CrowdOutcome> {
  const openai = client(`${url}/v1`);
  const random = seededRandom(seed);
  const outcome: CrowdOutcome = { wrong: [], missing: [] };
  const users = Array.from({ length: crowdSize }, async (_, index) => {
    const turns = turnsOf(kind === "mixed" ? (crowdKinds[index % 3] ?? "short") : kind, index % 10, random);
    try {
      const wrong = await converse(openai, answers, turns);
      if (wrong !== undefined) outcome.wrong.push(wrong);
    } catch (error) {
      outcome.missing.push(String(error));
    }
  });
  const leavers = Array.from({ length: crowdSize / 4 }, (_, index) =>
    leave(openai, letters(400, random), index % 2 === 0, random() * 1000),
  );
  await Promise.all([...users, ...leavers]);
  return outcome;
}

/** A user's messages, with the same digit in each. */
function turnsOf(kind: CrowdKind, digit: number, random: () => number): string[] {
  const question = `Which digit is in this prompt: ${digit}?`;
  if (kind === "long") return [`${letters(400, random)} ${question}`];
  return kind === "conversation" ? [question, `And now: ${digit}?`, `Once more, ${digit}, please.`] : [question];
}

/** @returns the first answer that is wrong */
async function converse(openai: OpenAI, answers: Answers, turns: readonly string[]): Promise<string | undefined> {
  const messages: OpenAI.ChatCompletionMessageParam[] = [];
  // The older name, which every llama-server knows.
  const limit = { max_tokens: answers.answerTokens + 1 };
  for (const content of turns) {
    messages.push({ role: "user", content });
    // In one piece: streams would take the clients more time than the servers, on the same cores.
    const { choices } = await openai.chat.completions.create({ model: "bitnet", messages, temperature: 0, ...limit });
    const text = choices[0]?.message.content ?? "";
    if (text !== answers.expected(content)) return text;
    messages.push({ role: "assistant", content: text });
  }
  return undefined;
}

/** A client that asks for a long answer, and hangs up. */
async function leave(openai: OpenAI, content: string, stream: boolean, afterMs: number): Promise<void> {
  const abort = new AbortController();
  const endless = { ignore_eos: true, max_tokens: 2000 };
  const messages = [{ role: "user" as const, content }];
  const asking = openai.chat.completions
    .create({ model: "bitnet", messages, stream, ...endless }, { signal: abort.signal })
    .catch(() => undefined);
  await sleep(afterMs);
  abort.abort();
  await asking;
}
