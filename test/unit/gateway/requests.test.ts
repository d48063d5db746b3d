import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { send, type Answer } from "../../support/http.ts";
import { askCase, expand, requestCases, type RequestCase } from "../../support/requestCases.ts";
import { key, keys, question, startGateway, type TestGateway } from "./gateway.ts";

/** Slow and idle connections are the edge's: HAProxy waits for bodies before a gateway sees them. */
const cases = requestCases.filter(({ slow }) => slow === undefined);

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
    const answer = await askCase(gateway, row, key);
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
    const forbidden = [
      "system_prompt",
      "id_slot",
      "n_keep",
      "n_discard",
      "grammar_lazy",
      "reasoning_format",
      "messages",
    ];
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
