import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { send } from "../../support/http.ts";
import { askCase, checkAnswer, expand, promptTokens, requestCases } from "../../support/requestCases.ts";
import { key, keys, question, startGateway, type TestGateway } from "./gateway.ts";

/** Slow and idle connections are the edge's: HAProxy waits for bodies before a gateway sees them. */
const cases = requestCases.filter(({ slow }) => slow === undefined);

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
