import { describe, expect, it } from "vitest";
import type { ApiKey } from "../../../gateway/src/config.ts";
import { grammarProblem } from "../../../gateway/src/rules/grammar.ts";
import { parseJson } from "../../../gateway/src/rules/jsonBody.ts";
import { engineSchema } from "../../../gateway/src/rules/jsonSchema.ts";
import { KeyUse } from "../../../gateway/src/rules/keyLimits.ts";
import { normalPath } from "../../../gateway/src/rules/paths.ts";

describe("grammars that an engine survives", () => {
  it.each([
    ["one text", 'root ::= "a"'],
    ["rules, classes, repetitions, comments", 'root ::= item+ # list\nitem ::= "- " [^\\n]{1,80} "\\n"\n'],
    ["a rule inside itself", 'root ::= "[" (root ("," root)*)? "]"'],
    ["choices over several lines", 'root ::= ("a" |\n  "b")\n  \n'],
    ["an optional part", 'root ::= "-"? [0-9]+ ("." [0-9]+)?'],
  ])("%s", (_name, grammar) => {
    expect(grammarProblem(grammar)).toBeUndefined();
  });

  it.each([
    ["no grammar", "hello", /not a grammar/],
    ["no root", 'a ::= "a"', /root/],
    ["an unknown rule", "root ::= b", /no rule b/],
    ["a rule that begins with itself", 'root ::= root "a"', /begins with itself/],
    ["a rule that begins with itself by way of another", 'root ::= "x"? b\nb ::= root "a"', /begins with itself/],
    ["repeated nothing", 'root ::= ("a"*)*', /must not be empty/],
    ["repeated nothing by way of a rule", 'root ::= a{2,5}\na ::= "x"?', /must not be empty/],
    ["a large repetition", 'root ::= "x"{0,999}', /repeat up to/],
    ["many small ones", `root ::= ${'"x"{100} '.repeat(6)}`, /repeat up to/],
    ["a long row of optional parts", `root ::= ${'"a"? '.repeat(300)}`, /ways to go on/],
    [
      "optional parts inside each other",
      `root ::= ${"a? ".repeat(20)}\na ::= ${'"x"? '.repeat(20)}"y"`,
      /ways to go on/,
    ],
    ["deep parentheses", `root ::= ${"(".repeat(20)}"a"${")".repeat(20)}`, /nested/],
    ["60,000 parentheses", `root ::= ${"(".repeat(60_000)}`, /characters/],
    ["an open parenthesis", 'root ::= ("a"', /not closed/],
    ["a rule twice", 'root ::= "a"\nroot ::= "b"', /twice/],
  ])("refused: %s", (_name, grammar, problem) => {
    expect(grammarProblem(grammar)).toMatch(problem);
  });

  it("are judged in a moment, however long they are", () => {
    const before = process.threadCpuUsage();
    for (const part of ['"a"? ', "(", "a | ", "{", "[", '"', "root ", "#", "\n", "a ::= a\n"]) {
      grammarProblem(`root ::= ${part.repeat(16_000 / part.length)}`);
    }
    expect(process.threadCpuUsage(before).user / 1000).toBeLessThan(1000);
  });
});

describe("JSON schemas that an engine survives", () => {
  const list = { $ref: "#/$defs/list" };

  it.each([
    ["anything", {}],
    ["no property required", { type: "object", properties: { a: { type: "string" } }, required: [] }],
    [
      "a list that holds lists",
      { ...list, $defs: { list: { type: "array", items: { anyOf: [list, { type: "null" }] } } } },
    ],
    ["bounds", { type: "array", items: { type: "integer", minimum: 1, maximum: 9 }, minItems: 1, maxItems: 3 }],
    [
      "formats and lengths",
      {
        anyOf: [
          { type: "string", format: "date" },
          { type: "string", maxLength: 20 },
        ],
      },
    ],
  ])("%s reaches it as it is", (_name, schema) => {
    expect(engineSchema(schema)).toEqual(schema);
  });

  it("lose their notes, and what no engine enforces is refused by name", () => {
    expect(engineSchema({ type: "string", title: "A", description: "b", format: "email" })).toEqual({ type: "string" });
    expect(() => engineSchema({ type: "number", multipleOf: 2 })).toThrow(/"multipleOf" is not supported/);
  });

  it.each([
    ["no object", [], /object/],
    ["an unknown type", { type: "nonsense" }, /type: expected one/],
    ["a pattern", { type: "string", pattern: "^(?<=x)*$" }, /"pattern" is not supported/],
    ["a reference to elsewhere", { $ref: "https://example.com/schema.json" }, /\$defs/],
    ["a reference to nothing", { $ref: "#/$defs/a" }, /\$defs/],
    ["a reference to itself", { ...list, $defs: { list } }, /means itself/],
    ["a choice with itself", { ...list, $defs: { list: { anyOf: [{ type: "null" }, list] } } }, /means itself/],
    ["a property named $ref", { type: "object", properties: { $ref: { type: "string" } } }, /no \$/],
    ["an object among constants", { enum: [{ $ref: "x" }] }, /texts, numbers/],
    ["a long text", { type: "string", maxLength: 100_000 }, /whole number/],
    ["many long texts", { anyOf: Array.from({ length: 6 }, () => ({ type: "string", maxLength: 100 })) }, /500 in all/],
    ["a range without numbers", { type: "integer", minimum: 5, maximum: 1 }, /greater/],
    ["a depth of 13", nested(13), /nested/],
    ["201 properties", wide(201), /parts|not required/],
    ["33 that are not required", wide(33), /not required/],
  ])("refused: %s", (_name, schema, problem) => {
    expect(() => engineSchema(schema)).toThrow(problem);
  });

  function nested(depth: number): object {
    return depth === 0 ? { type: "string" } : { type: "array", items: nested(depth - 1) };
  }

  function wide(count: number): object {
    const names = Array.from({ length: count }, (_, index) => `p${index}`);
    return { type: "object", properties: Object.fromEntries(names.map((name) => [name, { type: "null" }])) };
  }
});

describe("a body", () => {
  it.each([
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), /UTF-8/],
    ["no JSON", Buffer.from("{"), /not valid JSON/],
    ["nothing", Buffer.from(""), /not valid JSON/],
    ["depth", Buffer.from("[".repeat(65) + "]".repeat(65)), /nested deeper/],
    ["a million brackets", Buffer.from("[".repeat(1_000_000)), /nested deeper/],
    ["half a character", Buffer.from('{"a": "\\ud800"}'), /half of a character/],
    ["half a character in a name", Buffer.from('{"\\udc00": 1}'), /half of a character/],
  ])("is refused: %s", (_name, bytes, problem) => {
    expect(() => parseJson(bytes)).toThrow(problem);
  });

  it("may hold brackets in texts, escapes and whole characters", () => {
    const value = { text: `${"[".repeat(100)}\\"{"`, emoji: "🎉" };
    expect(parseJson(Buffer.from(JSON.stringify(value)))).toEqual(value);
    expect(parseJson(Buffer.from('"\\ud83c\\udf89"'))).toBe("🎉");
  });
});

describe("a path", () => {
  it.each([
    ["//v1/chat/completions", "/v1/chat/completions"],
    ["/v1//models/", "/v1/models"],
    ["/", "/"],
    ["//", "/"],
    ["/v1/models?a=//", "/v1/models?a=//"],
    ["/v1/../slots", "/v1/../slots"],
  ])("%s is read as %s", (path, normal) => {
    expect(normalPath(path)).toBe(normal);
  });
});

describe("a key's limits", () => {
  const use = (limits: ApiKey["limits"]) => new KeyUse({ name: "alice", sha256: "", limits });

  it("without any, there are none", () => {
    const free = use({});
    for (let request = 0; request < 1000; request++) free.begin();
    expect(free.headers()).toEqual({});
  });

  it("so many at once", () => {
    const limited = use({ concurrentRequests: 2 });
    limited.begin();
    limited.begin();
    expect(() => {
      limited.begin();
    }).toThrow(/2 requests at once/);
    limited.end(10);
    limited.begin();
  });

  it("so many a minute, told in OpenAI's headers", () => {
    const limited = use({ requestsPerMinute: 2 });
    limited.begin();
    expect(limited.headers()).toMatchObject({
      "x-ratelimit-limit-requests": "2",
      "x-ratelimit-remaining-requests": "1",
    });
    limited.begin();
    expect(() => {
      limited.begin();
    }).toThrow(/requests per minute. Try again in (30.0|29.9) s/);
  });

  it("so many tokens a minute, counted when they are known", () => {
    const limited = use({ tokensPerMinute: 100 });
    limited.begin();
    limited.end(130);
    expect(() => {
      limited.begin();
    }).toThrow(/tokens per minute/);
    expect(limited.headers()).toMatchObject({ "x-ratelimit-remaining-tokens": "0" });
  });
});
