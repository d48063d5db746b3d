import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Account } from "./account.ts";
import type { Choice, Form } from "./answers/form.ts";
import { ApiError } from "./errors.ts";
import type { Metrics } from "./metrics.ts";
import { firstThen } from "./streaming/firstThen.ts";
import { withHeartbeats } from "./streaming/heartbeat.ts";
import { merge, type Indexed } from "./streaming/merge.ts";
import { sseText } from "./streaming/sse.ts";
import type { End, Engine, EngineEvent, EngineRequest, Text } from "./upstream/engine.ts";

/** A question to the engine, once for each choice of the answer, and how the answer is written. */
export interface Question {
  requests: readonly EngineRequest[];
  /** For HAProxy. */
  headers: Readonly<Record<string, string>>;
  form: Form;
  stream: boolean;
}

/** Asks the engine, and answers whole or token by token. A client that leaves ends it. */
export class Answering {
  private readonly engine: Engine;
  private readonly metrics: Metrics;
  private readonly heartbeatSeconds: number;
  private readonly whenFailed: (request: FastifyRequest, error: unknown) => ApiError;

  constructor(
    engine: Engine,
    metrics: Metrics,
    heartbeatSeconds: number,
    whenFailed: (request: FastifyRequest, error: unknown) => ApiError,
  ) {
    this.engine = engine;
    this.metrics = metrics;
    this.heartbeatSeconds = heartbeatSeconds;
    this.whenFailed = whenFailed;
  }

  async answer(request: FastifyRequest, reply: FastifyReply, question: Question): Promise<unknown> {
    const events = this.ask(request, reply, question);
    if (!question.stream) {
      const choices = await gather(events);
      nameReplica(request, reply);
      return question.form.whole(choices);
    }
    // Nothing is sent before the first token or heartbeat: until then an error can have a status of its own.
    const begun = await firstThen(withHeartbeats(events, this.heartbeatSeconds));
    nameReplica(request, reply);
    const text = sseText(begun, question.form, (error) => this.whenFailed(request, error));
    reply.header("content-type", "text/event-stream; charset=utf-8").header("cache-control", "no-cache");
    return reply.send(Readable.from(text, { objectMode: false, highWaterMark: 16_384 }));
  }

  /** All choices' events, counted and timed on the way. */
  private async *ask(
    { account }: FastifyRequest,
    reply: FastifyReply,
    { requests, headers }: Question,
  ): AsyncGenerator<Indexed<EngineEvent>, void> {
    const over = new AbortController();
    const leave = () => {
      over.abort();
    };
    reply.raw.once("close", leave);
    if (reply.raw.destroyed) leave();
    const answeredBy = (replica: string) => {
      if (replica !== "") account.replicas.add(replica);
    };
    const ask = { headers: { ...headers, "x-request-id": account.id }, signal: over.signal, answeredBy };
    const progress = this.metrics.follow();
    const parts = requests.map(() => 0);
    try {
      for await (const event of merge(requests.map((one) => this.engine.complete(one, ask)))) {
        progress.begun();
        count(account, parts, event);
        yield event;
      }
    } finally {
      progress.over();
      reply.raw.off("close", leave);
      // Of several choices, the others are not wanted any more if one has failed.
      over.abort();
    }
  }
}

/** Whoever asks for it, as the smoke test does, is told which replica answered. */
function nameReplica({ headers, account }: FastifyRequest, reply: FastifyReply): void {
  if (headers["x-name-replica"] !== undefined) reply.header("x-replica", [...account.replicas].join(","));
}

/** @param parts that each choice had until now */
function count(account: Account, parts: number[], { index, value }: Indexed<EngineEvent>): void {
  const now = performance.now();
  account.firstTokenAt ??= now;
  account.lastTokenAt = now;
  // Each part is a token, nearly always; the end says exactly. A client that leaves has had what came until then.
  const known = parts[index] ?? 0;
  const tokens = value.type === "text" ? known + 1 : value.completionTokens;
  account.completionTokens += tokens - known;
  parts[index] = tokens;
  // Several choices read one prompt: what each of them found in memory is counted once.
  if (value.type === "end")
    account.cachedTokens = Math.min(account.promptTokens, account.cachedTokens + value.cachedTokens);
}

async function gather(events: AsyncIterable<Indexed<EngineEvent>>): Promise<Choice[]> {
  const texts: Text[][] = [];
  const ends: End[] = [];
  for await (const { index, value } of events) {
    if (value.type === "end") ends[index] = value;
    else (texts[index] ??= []).push(value);
  }
  return ends.map((end, index) => {
    const parts = texts[index] ?? [];
    const probabilities = parts.flatMap((part) => part.probabilities);
    return { text: parts.map(({ text }) => text).join(""), probabilities, end };
  });
}
