import type OpenAI from "openai";
import { patience } from "../../components/serving/timeouts.ts";
import { client } from "../../test/e2e/support/chat.ts";
import type { Figure } from "../figures.ts";
import { quantile, seededRandom } from "../statistics.ts";
import type { Workshop } from "../workshop.ts";
import type { Fleet } from "./fleet.ts";
import { urlOf } from "./fleet.ts";

/** What one streamed answer took, in ms. */
export interface Sample {
  /** From the request to the first token. */
  firstToken: number;
  /** Between tokens, on average; undefined if there was only one. */
  eachToken: number | undefined;
  /** From the request to the last token. */
  total: number;
}

export interface Request {
  messages: OpenAI.ChatCompletionMessageParam[];
  answerTokens: number;
}

/** Asks, and takes the time; `text` is the answer. */
export async function ask(openai: OpenAI, { messages, answerTokens }: Request): Promise<Sample & { text: string }> {
  const began = performance.now();
  const times: number[] = [];
  let text = "";
  // The older name, which every llama-server knows; the newer one it ignores.
  const limit = { max_tokens: answerTokens };
  const stream = await openai.chat.completions.create({
    model: "bitnet",
    messages,
    temperature: 0,
    ...limit,
    stream: true,
  });
  for await (const { choices } of stream) {
    const piece = choices[0]?.delta.content ?? "";
    if (piece !== "") times.push(performance.now() - began);
    text += piece;
  }
  const [firstToken, total] = [times.at(0), times.at(-1)];
  if (firstToken === undefined || total === undefined) throw new Error("an answer without a token");
  const eachToken = times.length > 1 ? (total - firstToken) / (times.length - 1) : undefined;
  return { text, firstToken, eachToken, total };
}

/** The times between the tokens of a streamed answer, in ms. */
export async function tokenGaps(openai: OpenAI, { messages, answerTokens }: Request): Promise<number[]> {
  const times: number[] = [];
  const request = { model: "bitnet", messages, temperature: 0, max_tokens: answerTokens };
  const stream = await openai.chat.completions.create({ ...request, stream: true });
  for await (const { choices } of stream) if (choices[0]?.delta.content) times.push(performance.now());
  return times.slice(1).map((time, index) => time - (times[index] ?? time));
}

/** A user's message of so many tokens: letters without meaning, of which the generated models take each as a token. */
export function letters(tokens: number, random: () => number): string {
  return Array.from({ length: tokens }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join("");
}

/** How long short questions take, in ms, each asked in turns of a replica itself and of what stands before it. */
export async function inTurns(
  urls: Readonly<Record<"direct" | "through", string>>,
  pairs: number,
  answerTokens: number,
): Promise<Record<"direct" | "through", number[]>> {
  const random = seededRandom(7);
  const times: Record<"direct" | "through", number[]> = { direct: [], through: [] };
  const clients = { direct: client(`${urls.direct}/v1`), through: client(`${urls.through}/v1`) };
  for (let pair = 0; pair < pairs; pair++) {
    // Whoever is first is not always the same one.
    const order = pair % 2 === 0 ? (["direct", "through"] as const) : (["through", "direct"] as const);
    for (const way of order) {
      const messages = [{ role: "user" as const, content: letters(16, random) }];
      times[way].push((await ask(clients[way], { messages, answerTokens })).total);
    }
  }
  return times;
}

/** What users ask in turns: a short question, 32 tokens, and one about a text, 256 tokens; 24 tokens of answer each. */
export function mixed(seed: number): () => Request {
  const random = seededRandom(seed);
  let turn = seed;
  return () => ({
    messages: [{ role: "user", content: letters(turn++ % 2 === 0 ? 32 : 256, random) }],
    answerTokens: 24,
  });
}

/** What so many users at once got to see. Times in ms. */
export interface LoadResult {
  requestsPerSecond: number;
  firstToken: { p50: number; p95: number };
  eachToken: { p50: number; p95: number };
}

/** Clients that ask without a pause, each so many times. */
export async function runClients(url: string, clients: number, requestsEach: number): Promise<LoadResult> {
  // As long as the load balancer waits: on a slow machine the last of 16 clients waits for minutes.
  const openai = client(`${url}/v1`).withOptions({ timeout: patience * 1000 });
  const began = performance.now();
  const samples = await Promise.all(
    Array.from({ length: clients }, async (_, index) => {
      const next = mixed(index);
      const own: Sample[] = [];
      for (let turn = 0; turn < requestsEach; turn++) own.push(await ask(openai, next()));
      return own;
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  const all = samples.flat();
  const each = all.flatMap(({ eachToken }) => eachToken ?? []);
  const first = all.map(({ firstToken }) => firstToken);
  return {
    requestsPerSecond: all.length / seconds,
    firstToken: { p50: quantile(first, 0.5), p95: quantile(first, 0.95) },
    eachToken: { p50: quantile(each, 0.5), p95: quantile(each, 0.95) },
  };
}

/** Few enough that a part takes about half an hour on two cores. */
export const requestsEach = (clients: number): number => Math.max(2, Math.ceil(12 / clients));

/** So many clients of a fleet's real load balancer: what they got to see, as rows. */
export async function* underLoad(
  workshop: Workshop,
  fleet: Fleet,
  name: string,
  clients: number,
  each = requestsEach(clients),
): AsyncGenerator<Figure> {
  const what = `${name}, ${clients} ${clients === 1 ? "client" : "clients"}`;
  const run = () => runClients(urlOf(fleet, "real"), clients, each);
  const { requestsPerSecond, firstToken, eachToken } = await workshop.progress.run(what, run);
  yield { what: `${what}: requests`, value: requestsPerSecond, unit: "1/s" };
  yield { what: `${what}: first token, p50`, value: firstToken.p50, unit: "ms" };
  yield { what: `${what}: first token, p95`, value: firstToken.p95, unit: "ms" };
  yield { what: `${what}: each token, p50`, value: eachToken.p50, unit: "ms" };
  yield { what: `${what}: each token, p95`, value: eachToken.p95, unit: "ms" };
}
