import { z } from "zod";
import { ApiError, engineFailed } from "../errors.ts";
import { engineErrorOf, type UpstreamClient } from "./client.ts";
import { serverEvents, type ServerEvent } from "./events.ts";

/** A part of an answer: a token, or several that only together are text. */
export interface Text {
  type: "text";
  text: string;
  probabilities: readonly TokenProbabilities[];
}

/** A token that was chosen, and the likeliest ones at that place. */
export interface TokenProbabilities {
  token: string;
  likeliest: readonly { token: string; probability: number }[];
}

/** An answer's end. */
export interface End {
  type: "end";
  /** `length`: it was cut, by the request's limit or the context's. */
  reason: "stop" | "length";
  /** Of the prompt, how many the replica had in memory. */
  cachedTokens: number;
  completionTokens: number;
  stoppingWord: string;
  timings: unknown;
}

export type EngineEvent = Text | End;

/** What the engine is asked: its own names and forms, see engineRequest.ts. */
export type EngineRequest = Readonly<Record<string, unknown>> & { prompt: readonly number[] };

export interface Ask {
  headers: Readonly<Record<string, string>>;
  signal: AbortSignal;
  /** Is told the replica's name as soon as there is an answer. */
  answeredBy: (replica: string) => void;
}

const probabilities = z
  .array(z.object({ content: z.string(), probs: z.array(z.object({ tok_str: z.string(), prob: z.number() })) }))
  .default([]);

const partial = z.object({
  content: z.string(),
  stop: z.literal(false),
  completion_probabilities: probabilities,
});

const final = z.object({
  content: z.string(),
  stop: z.literal(true),
  tokens_predicted: z.number(),
  tokens_evaluated: z.number(),
  stopped_limit: z.boolean(),
  stopped_eos: z.boolean(),
  stopped_word: z.boolean(),
  stopping_word: z.string(),
  timings: z.looseObject({ prompt_n: z.number().nullish() }),
});

const event = z.discriminatedUnion("stop", [partial, final]);

/**
 * The engine's own /completion, always as a stream. Both engines have it in the same form, it takes tokens, it says why
 * an answer ended, and an engine notices at the next token that nobody listens any more. Their OpenAI endpoints differ,
 * and do none of this.
 */
export class Engine {
  private readonly client: UpstreamClient;
  private readonly patience: Patience;

  constructor(client: UpstreamClient, patience: Patience) {
    this.client = client;
    this.patience = patience;
  }

  /** @throws ApiError if the engine refuses or fails, before or after its first token */
  async *complete(request: EngineRequest, ask: Ask): AsyncGenerator<EngineEvent, void> {
    const headers = { ...ask.headers, "x-name-replica": "1" };
    const { signal } = ask;
    const { firstTokenTimeout, stallTimeout } = this.patience;
    const body = { ...request, stream: true };
    const answer = await this.client.request("/completion", { body, headers, signal, patience: firstTokenTimeout });
    ask.answeredBy(String(answer.headers["x-replica"] ?? ""));
    const events = serverEvents(answer.body);
    try {
      let patience = firstTokenTimeout;
      for (;;) {
        const received = await within(patience, events.next());
        if (received.done === true) throw new Error("the stream has no end");
        patience = stallTimeout;
        for (const found of engineEvents(received.value)) {
          yield found;
          if (found.type !== "end") continue;
          // Read to the stream's end, the connection serves the next request. If that end fails, the answer is whole all the same.
          await within(drain, events.next()).catch(() => undefined);
          return;
        }
      }
    } catch (error) {
      if (error instanceof ApiError || signal.aborted) throw error;
      throw engineFailed("The engine ended the connection in the middle of the answer.", error);
    } finally {
      // Frees the slot of an answer that nobody wants any more.
      answer.body.destroy();
    }
  }
}

/** Seconds for what comes after an answer: nothing but the stream's end. */
const drain = 1;

/** Seconds that the engine may be silent: before its first token, when others are waited for, and between two. */
export interface Patience {
  firstTokenTimeout: number;
  stallTimeout: number;
}

/** @throws ApiError 502 if it takes longer */
async function within<T>(seconds: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(engineFailed("The engine stopped answering."));
    }, seconds * 1000);
  });
  try {
    return await Promise.race([promise, tooLong]);
  } finally {
    clearTimeout(timer);
  }
}

function engineEvents({ field, value }: ServerEvent): EngineEvent[] {
  if (field === "error") throw engineErrorOf(value);
  const parsed = event.safeParse(JSON.parse(value));
  if (!parsed.success) throw engineErrorOf(value);
  const { data } = parsed;
  if (!data.stop) return [textEvent(data)];
  const end: End = {
    type: "end",
    reason: data.stopped_limit && !data.stopped_eos && !data.stopped_word ? "length" : "stop",
    cachedTokens: Math.max(0, data.tokens_evaluated - (data.timings.prompt_n ?? data.tokens_evaluated)),
    completionTokens: data.tokens_predicted,
    stoppingWord: data.stopping_word,
    timings: data.timings,
  };
  // Some versions hold text back until they know that it does not begin a stop string.
  return data.content === "" ? [end] : [{ type: "text", text: data.content, probabilities: [] }, end];
}

function textEvent(data: z.infer<typeof partial>): Text {
  return {
    type: "text",
    text: data.content,
    probabilities: data.completion_probabilities.map(({ content, probs }) => ({
      token: content,
      likeliest: probs.map(({ tok_str, prob }) => ({ token: tok_str, probability: prob })),
    })),
  };
}
