import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { key, keys, question, send, startGateway, type Answer, type TestGateway } from "./gateway.ts";

const file = join(import.meta.dirname, "../../../../shared/cases/requests.jsonl");

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

type RequestCase = z.infer<typeof requestCase>;

/** Slow and idle connections are the edge's: HAProxy waits for bodies before a gateway sees them. */
const cases = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .map((line) => requestCase.parse(JSON.parse(line)))
  .filter(({ slow }) => slow === undefined);

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

describe("each request that once went wrong", () => {
  const gateways = new Map<string, TestGateway>();
  beforeAll(async () => {
    gateways.set("open", await startGateway());
    gateways.set("small", await startGateway({ CONTEXT_SIZE: "512" }));
    gateways.set("keys", await startGateway({ API_KEYS: keys }));
  });
  afterAll(async () => {
    for (const gateway of gateways.values()) await gateway[Symbol.asyncDispose]();
  });

  it.each(cases)("$id", async (row) => {
    const gateway = gateways.get(row.keys ? "keys" : row.contextSize === 512 ? "small" : "open");
    if (gateway === undefined) throw new Error("no gateway");
    const answer = await ask(gateway, row);
    expect(row.expect.status).toContain(answer.status);
    checkAnswer(row, answer);
    if (row.expect.samePromptTokensAs !== undefined) {
      const other = await send(gateway, row.method, row.path ?? "", { body: expand(row.expect.samePromptTokensAs) });
      expect(promptTokens(answer)).toBe(promptTokens(other));
    }
    const next = await send(gateway, "POST", "/v1/chat/completions", {
      body: question,
      headers: row.keys ? { authorization: `Bearer ${key}` } : {},
    });
    expect(next.status).toBe(200);
  });

  it("nothing that reaches into the server was forwarded", () => {
    const forbidden = ["system_prompt", "id_slot", "n_keep", "n_discard", "grammar_lazy", "reasoning_format", "messages"];
    const asked = [...gateways.values()].flatMap((gateway) => gateway.asked());
    expect(asked.length).toBeGreaterThan(10);
    for (const body of asked) expect(Object.keys(body).filter((field) => forbidden.includes(field))).toEqual([]);
  });
});

function checkAnswer({ expect: expected }: RequestCase, answer: Answer): void {
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

function promptTokens(answer: Answer): number {
  return answerForm.parse(answer.json).usage.prompt_tokens;
}

async function ask(gateway: TestGateway, { method, path, headers, body }: RequestCase): Promise<Answer> {
  if (headers["@twice"] === "content-length") return sendTwoLengths(gateway, expand(body));
  return send(gateway, method, path ?? "", { ...(body === undefined ? {} : { body: expand(body) }), headers: named(headers) });
}

function named(headers: RequestCase["headers"]): Record<string, string> {
  const many = headers["@many"];
  if (Array.isArray(many)) {
    const [prefix, count] = many as [string, number];
    return Object.fromEntries(Array.from({ length: count }, (_, index) => [`${prefix}${index}`, "1"]));
  }
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, String(value).replace("@KEY", key)]),
  );
}

/** Node's client refuses to send this. */
async function sendTwoLengths({ port }: TestGateway, body: unknown): Promise<Answer> {
  const json = JSON.stringify(body);
  const length = `content-length: ${json.length}\r\n`;
  const socket = connect(port, "127.0.0.1");
  socket.end(`POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n${length}${length}\r\n${json}`);
  const [head = "", received = ""] = (await text(socket)).split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), headers: {}, body: received, json: JSON.parse(received) };
}

/** A body with @repeat, @concat, @nest, @raw or @hex in it. */
function expand(value: unknown): unknown {
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
      return nested(argument as [string, string, number]);
    default: {
      const entries = Object.entries(value);
      const deep = entries.find(([, item]) => typeof item === "object" && item !== null && "@nest" in item);
      return deep === undefined ? Object.fromEntries(entries.map(([field, item]) => [field, expand(item)])) : withNested(value, deep);
    }
  }
}

function nested([open, close, times]: [string, string, number]): Buffer {
  return Buffer.from(`${open.repeat(times)}${open.endsWith(":") ? "1" : ""}${close.repeat(times)}`);
}

/** JSON.stringify would end with a stack that is too deep. */
function withNested(value: object, [field, item]: [string, { "@nest": [string, string, number] }]): Buffer {
  const rest = JSON.stringify({ ...value, [field]: undefined });
  return Buffer.from(`${rest.slice(0, -1)},${JSON.stringify(field)}:${nested(item["@nest"]).toString()}}`);
}
