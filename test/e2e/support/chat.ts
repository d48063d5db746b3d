import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";

/** The official client, without its retries: a request that fails must be seen. */
export function client(url: string, apiKey = "none"): OpenAI {
  return new OpenAI({ baseURL: url, apiKey, maxRetries: 0, timeout: 120_000 });
}

export interface Answer {
  text: string;
  finishReason: string | null | undefined;
  /** When each piece of it came, in ms from the request on: one, or one a token of a stream. */
  pieces: number[];
}

/** Asks for a digit back. `model` is what the client calls the model. */
export async function chat(openai: OpenAI, digit: number, model = "bitnet"): Promise<Answer> {
  const began = performance.now();
  const { choices } = await openai.chat.completions.create({ model, messages: question(digit), temperature: 0 });
  const [choice] = choices;
  const pieces = [performance.now() - began];
  return { text: choice?.message.content ?? "", finishReason: choice?.finish_reason, pieces };
}

/** Of a request whose answer takes seconds. */
export const endless = { ignore_eos: true, max_tokens: 3000 };

/** The same as a stream. */
export async function stream(openai: OpenAI, digit: number, more: object = {}): Promise<Answer> {
  const answer: Answer = { text: "", finishReason: undefined, pieces: [] };
  const began = performance.now();
  const chunks = await openai.chat.completions.create({
    model: "bitnet",
    messages: question(digit),
    temperature: 0,
    stream: true,
    ...more,
  });
  for await (const chunk of chunks) {
    const [choice] = chunk.choices;
    const piece = choice?.delta.content ?? "";
    answer.text += piece;
    if (piece !== "") answer.pieces.push(performance.now() - began);
    answer.finishReason = choice?.finish_reason ?? answer.finishReason;
  }
  return answer;
}

export function question(digit: number): OpenAI.ChatCompletionMessageParam[] {
  return [
    { role: "system", content: "You are a helpful assistant." },
    { role: "user", content: `Which digit is in this prompt: ${digit}?` },
  ];
}

/** Clients that chat without a pause, in turns plain and streaming, until they are told to stop. */
export class Chatters {
  /** Answers that were right. */
  answered = 0;
  /** Everything else that came, one line each: errors, cut streams, wrong answers. */
  readonly failures: string[] = [];
  readonly #clients: Promise<void>[];
  #stopped = false;

  /** @param answers what may come back for a digit: one text, or two while one model replaces another */
  constructor(count: number, openai: OpenAI, answers: (digit: number) => string[]) {
    this.#clients = Array.from({ length: count }, (_, index) => this.#chat(index, openai, answers));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #chat(client: number, openai: OpenAI, answers: (digit: number) => string[]): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const digit = (client * 3 + turn) % 10;
      const ask = turn % 2 === 0 ? chat : stream;
      try {
        const { text, finishReason } = await ask(openai, digit);
        if (answers(digit).includes(text) && finishReason === "stop") this.answered++;
        else this.failures.push(`${ask.name} ${digit}: ${String(finishReason)}: ${text.slice(0, 200)}`);
      } catch (error) {
        this.failures.push(`${ask.name} ${digit}: ${String(error)}`);
        await sleep(100);
      }
    }
  }
}
