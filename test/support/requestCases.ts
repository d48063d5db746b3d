import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "vitest";
import { z } from "zod";
import { parseJson, send, type Answer } from "./http.ts";

/** Each line is a fault that once existed. The README beside it explains the fields. */
const file = join(import.meta.dirname, "../cases/requests.jsonl");

const requestCase = z.object({
  id: z.string(),
  method: z.string(),
  path: z.string().nullable(),
  headers: z.record(z.string(), z.unknown()).default({}),
  body: z.unknown().optional(),
  contextSize: z.number().optional(),
  keys: z.boolean().default(false),
  busy: z.boolean().default(false),
  slow: z.unknown().optional(),
  expect: z.object({
    status: z.array(z.number()),
    param: z.string().optional(),
    code: z.string().optional(),
    finish: z.string().optional(),
    completionTokens: z.number().optional(),
    choices: z.number().optional(),
    header: z.string().optional(),
    mentions: z.string().optional(),
    samePromptTokensAs: z.unknown().optional(),
  }),
});

export type RequestCase = z.infer<typeof requestCase>;

export const requestCases = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .map((line) => requestCase.parse(JSON.parse(line)));

const errorForm = z.object({
  error: z.strictObject({
    message: z.string().min(1),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

const answerForm = z.object({
  choices: z.array(z.object({ finish_reason: z.string() })),
  usage: z.object({ completion_tokens: z.number(), prompt_tokens: z.number() }),
});

/** Whether a response is what the case expects; an error has to have OpenAI's form. */
export function checkAnswer({ expect: expected }: RequestCase, answer: Answer): void {
  expect(expected.status, answer.body).toContain(answer.status);
  if (answer.status >= 400) {
    const { error } = errorForm.parse(answer.json);
    if (expected.param !== undefined) expect(error.param).toBe(expected.param);
    if (expected.code !== undefined) expect(error.code).toBe(expected.code);
    if (expected.mentions !== undefined) expect(error.message).toContain(expected.mentions);
    return;
  }
  if (expected.finish !== undefined) expect(answer.body).toContain(`"finish_reason":"${expected.finish}"`);
  if (expected.header !== undefined) expect(answer.headers).toHaveProperty(expected.header);
  if (expected.choices !== undefined) expect(answerForm.parse(answer.json).choices).toHaveLength(expected.choices);
  if (expected.completionTokens !== undefined) {
    expect(answerForm.parse(answer.json).usage.completion_tokens).toBe(expected.completionTokens);
  }
}

export function promptTokens(answer: Answer): number {
  return answerForm.parse(answer.json).usage.prompt_tokens;
}

/** @param key what `@KEY` stands for */
export async function askCase(
  to: { port: number },
  { method, path, headers, body }: RequestCase,
  key: string,
): Promise<Answer> {
  if (headers["@twice"] === "content-length") return sendTwoLengths(to, expand(body));
  return send(to, method, path ?? "", {
    ...(body === undefined ? {} : { body: expand(body) }),
    headers: named(headers, key),
  });
}

function named(headers: RequestCase["headers"], key: string): Record<string, string> {
  const many = headers["@many"];
  if (Array.isArray(many)) {
    const [prefix, count] = many as [string, number];
    return Object.fromEntries(Array.from({ length: count }, (_, index) => [`${prefix}${index}`, "1"]));
  }
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value).replace("@KEY", key)]));
}

/** Two that contradict each other: equal ones may be taken for one (RFC 9110, section 8.6). Node's client refuses to send this. */
async function sendTwoLengths({ port }: { port: number }, body: unknown): Promise<Answer> {
  const json = JSON.stringify(body);
  const lengths = `content-length: ${json.length}\r\ncontent-length: ${json.length + 1}\r\n`;
  const socket = connect(port, "127.0.0.1");
  socket.end(`POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n${lengths}\r\n${json}`);
  const [head = "", received = ""] = (await text(socket)).split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), headers: {}, body: received, json: parseJson(received) };
}

/** A body with @repeat, @concat, @nest, @raw or @hex in it. */
export function expand(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expand);
  if (typeof value !== "object" || value === null) return value;
  const [name, argument] = Object.entries(value)[0] ?? [];
  switch (name) {
    case "@raw":
      return Buffer.from(String(argument));
    case "@hex":
      return Buffer.from(String(argument), "hex");
    case "@repeat": {
      const [part, times] = argument as [string, number];
      return part.repeat(times);
    }
    case "@concat":
      return (argument as unknown[]).map(expand).join("");
    case "@nest":
      return nested(argument as Nest["@nest"]);
    default: {
      const entries = Object.entries(value);
      const deep = entries.find((entry): entry is [string, Nest] => isNest(entry[1]));
      return deep === undefined
        ? Object.fromEntries(entries.map(([field, item]) => [field, expand(item)]))
        : withNested(value, deep);
    }
  }
}

interface Nest {
  "@nest": [open: string, close: string, times: number];
}

function isNest(value: unknown): value is Nest {
  return typeof value === "object" && value !== null && "@nest" in value;
}

function nested([open, close, times]: Nest["@nest"]): Buffer {
  return Buffer.from(`${open.repeat(times)}${open.endsWith(":") ? "1" : ""}${close.repeat(times)}`);
}

/** JSON.stringify would end with a stack that is too deep. */
function withNested(value: object, [field, item]: [string, Nest]): Buffer {
  const rest = JSON.stringify({ ...value, [field]: undefined });
  return Buffer.from(`${rest.slice(0, -1)},${JSON.stringify(field)}:${nested(item["@nest"]).toString()}}`);
}
