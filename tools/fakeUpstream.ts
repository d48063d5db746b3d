import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { text } from "node:stream/consumers";

/**
 * A llama-server without a model, for tests and for trying clients by hand: it speaks of llama-server's endpoints what the
 * gateway uses, answers at once or slowly, and fails in the ways that engines fail in.
 *
 *     node tools/fakeUpstream.ts 9000
 *     curl 127.0.0.1:9000/behaviour -d '{"tokenDelay": 500}'
 */
export interface Behaviour {
  /** The model's name. */
  model: string;
  /** bitnet.cpp's server tells less of its model. */
  engine: "ik_llama.cpp" | "bitnet.cpp";
  /** The answer, token by token. */
  answer: string[];
  /** Milliseconds until the first token, and between two. */
  firstDelay: number;
  tokenDelay: number;
  /** What goes wrong: before the answer's headers, or after `failAfter` tokens. */
  fault: "none" | "hang" | "die" | "error-event" | "error-line" | "garbage" | "half-character";
  failAfter: number;
  /** Answers /completion with this status instead. */
  status: number;
}

const ordinary: Behaviour = {
  model: "fake",
  engine: "ik_llama.cpp",
  answer: ["The", " digit", " is", " 5", "."],
  firstDelay: 0,
  tokenDelay: 0,
  fault: "none",
  failAfter: 0,
  status: 200,
};

/** A request that came, and whether its client left before the answer was complete. */
export interface Received {
  path: string;
  body: Record<string, unknown>;
  headers: IncomingMessage["headers"];
  leftAt: number | undefined;
}

export interface FakeUpstream {
  url: string;
  received: Received[];
  behave: (behaviour: Partial<Behaviour>) => void;
  close: () => Promise<void>;
}

/** The control tokens of its model, and a template that writes them. */
export const chatTemplate =
  "{% for message in messages %}<|start|>{{ message.role }}<|mid|>{{ message.content | trim }}<|eot_id|>{% endfor %}" +
  "{% if add_generation_prompt %}<|start|>assistant<|mid|>{% endif %}";

const tokenNames = { bos_token: "<|begin|>", eos_token: "<|eot_id|>" };
const controlTokens = ["<|begin|>", "<|start|>", "<|mid|>", "<|eot_id|>"];
const controlToken = new RegExp(`(${controlTokens.map((token) => token.replaceAll("|", "\\|")).join("|")})`);
const word = /[^\s\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+/gu;

const vocabularySize = 100_000;
const bos = 1;

/** @param port 0 takes any that is free */
export async function startFakeUpstream(port = 0): Promise<FakeUpstream> {
  const fake = new Fake();
  const server = createServer((request, response) => {
    fake.handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: fake.received,
    behave: (behaviour) => {
      fake.behaviour = { ...ordinary, ...behaviour };
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class Fake {
  readonly received: Received[] = [];
  behaviour = ordinary;
  private readonly numbers = new Map<string, number>();

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = await text(request);
    const body = (sent === "" ? {} : JSON.parse(sent)) as Record<string, unknown>;
    const received: Received = { path: request.url ?? "", body, headers: request.headers, leftAt: undefined };
    this.received.push(received);
    response.once("close", () => {
      if (!response.writableFinished) received.leftAt = performance.now();
    });
    const { behaviour } = this;
    if (request.url === "/completion" && behaviour.status === 200) await complete(behaviour, body, response);
    else if (request.url === "/") response.writeHead(200, { "content-type": "text/html" }).end("<title>chat</title>");
    else json(response, ...this.answer(request.url, body));
  }

  private answer(path: string | undefined, body: Record<string, unknown>): [value: unknown, status?: number] {
    switch (path) {
      case "/behaviour":
        this.behaviour = { ...ordinary, ...body };
        return [this.behaviour];
      case "/props":
        return [{ chat_template: chatTemplate, ...(this.behaviour.engine === "ik_llama.cpp" ? tokenNames : {}) }];
      case "/detokenize":
        return [{ content: JSON.stringify(body.tokens) === `[${bos}]` ? tokenNames.bos_token : "" }];
      case "/v1/models":
        return [{ data: [{ id: this.behaviour.model, meta: { n_vocab: vocabularySize } }] }];
      case "/tokenize":
        return [{ tokens: this.tokens(body.content, body.add_special === true) }];
      case "/completion":
        return [{ error: { message: "as told" } }, this.behaviour.status];
      default:
        return [{ error: { code: 404, message: "File Not Found" } }, 404];
    }
  }

  /** Control tokens first, then words, digits and signs: cut like Llama 3's tokenizer does, as far as tests need it. */
  private tokens(content: unknown, addSpecial: boolean): number[] {
    const pieces = (Array.isArray(content) ? content : [content]) as string[];
    const parts = pieces.flatMap((piece) => piece.split(controlToken));
    const words = parts.flatMap((part) => (controlTokens.includes(part) ? [part] : (part.match(word) ?? [])));
    return [...(addSpecial ? [bos] : []), ...words.map((found) => this.number(found))];
  }

  private number(word: string): number {
    const known = this.numbers.get(word) ?? this.numbers.size + 2;
    this.numbers.set(word, known);
    return known;
  }
}

async function complete(behaviour: Behaviour, body: Record<string, unknown>, response: ServerResponse): Promise<void> {
  const { fault, failAfter } = behaviour;
  const prompt = body.prompt as number[];
  const limit = Number(body.n_predict);
  const written = behaviour.answer.slice(0, limit);
  if (fault === "die" && failAfter === 0) response.destroy();
  if ((fault === "die" || fault === "hang") && failAfter === 0) return;
  response.writeHead(200, { "content-type": "text/event-stream", "x-replica": "fake-1" });
  response.flushHeaders();
  await wait(behaviour.firstDelay);
  for (const [index, token] of written.entries()) {
    if (fault !== "none" && index === failAfter) return fail(fault, response);
    if (response.destroyed) return;
    const probability = {
      content: token,
      probs: [
        { tok_str: token, prob: 0.75 },
        { tok_str: "?", prob: 0.25 },
      ],
    };
    const probabilities = body.n_probs === undefined ? {} : { completion_probabilities: [probability] };
    await line(response, { content: token, stop: false, ...probabilities });
    await wait(behaviour.tokenDelay);
  }
  const cut = written.length < behaviour.answer.length;
  const stopped = { stopped_eos: !cut, stopped_word: false, stopped_limit: cut, stopping_word: "" };
  const counts = { tokens_predicted: written.length, tokens_evaluated: prompt.length, timings: { prompt_n: 1 } };
  await line(response, { content: "", stop: true, prompt, ...stopped, ...counts });
  response.end();
}

async function fail(fault: Behaviour["fault"], response: ServerResponse): Promise<void> {
  switch (fault) {
    case "die":
      response.destroy();
      return;
    case "error-event":
      await line(response, { error: { code: 500, message: "as told", type: "server_error" } });
      response.end();
      return;
    case "error-line":
      response.end('error: {"code":400,"message":"Failed to parse grammar","type":"invalid_request_error"}\n\n');
      return;
    case "garbage":
      response.end("data: {\n\n");
      return;
    case "half-character":
      response.write(Buffer.from('data: {"content":"\u20ac').subarray(0, -1));
      response.destroy();
      return;
    default:
      return;
  }
}

/** Byte by byte in two parts, so that characters break. */
async function line(response: ServerResponse, value: unknown): Promise<void> {
  const bytes = Buffer.from(`data: ${JSON.stringify(value)}\n\n`);
  const firstBroken = bytes.findIndex((byte) => byte >= 0x80);
  if (firstBroken >= 0) {
    response.write(bytes.subarray(0, firstBroken + 1));
    await wait(2);
  }
  response.write(bytes.subarray(firstBroken + 1));
}

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

if (import.meta.main) {
  const fake = await startFakeUpstream(Number(process.argv[2] ?? 9000));
  console.log(`a fake llama-server answers at ${fake.url}`);
}
