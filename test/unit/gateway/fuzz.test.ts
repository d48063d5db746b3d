import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fuzzBody, fuzzPath, fuzzRuns } from "../../support/fuzz.ts";
import { send } from "../../support/http.ts";
import { startGateway, type TestGateway } from "./gateway.ts";

/** Everything that the gateway may say to the engine. */
const forwarded = new Set([
  ..."prompt stream cache_prompt n_predict stop seed logit_bias n_probs json_schema grammar ignore_eos".split(" "),
  ..."temperature top_p top_k min_p typical_p tfs_z frequency_penalty presence_penalty repeat_penalty".split(" "),
  ..."repeat_last_n penalize_nl dynatemp_range dynatemp_exponent mirostat mirostat_tau mirostat_eta".split(" "),
  ..."min_keep xtc_probability xtc_threshold dry_multiplier dry_base dry_allowed_length dry_penalty_last_n".split(" "),
]);

const numRuns = fuzzRuns(400);

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway[Symbol.asyncDispose]());

it(
  "no body is answered with 5xx, and nothing but known fields goes to the engine",
  async () => {
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(fuzzPath, fuzzBody, async (path, body) => {
        const answer = await send(gateway, "POST", path, { body });
        expect([200, 400]).toContain(answer.status);
        if (answer.status === 200) answered++;
      }),
      { numRuns },
    );
    expect(answered).toBeGreaterThan(numRuns / 8);
    for (const asked of gateway.asked()) {
      expect(Object.keys(asked).filter((field) => !forwarded.has(field))).toEqual([]);
    }
  },
  numRuns * 150,
);

it("no bytes are answered with 5xx", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array(), fc.string({ unit: "binary" })), async (bytes) => {
      const answer = await send(gateway, "POST", "/v1/chat/completions", { body: Buffer.from(bytes) });
      expect(answer.status).toBe(400);
    }),
    { numRuns: 100 },
  );
});

it("no path is answered with 5xx, or gets to the engine", async () => {
  const segment = fc.constantFrom(
    "v1",
    "..",
    ".",
    "",
    "%2e%2e",
    "%2f",
    "%00",
    "slots",
    "completion",
    "props",
    "\\",
    "%zz",
    "metrics",
  );
  const reached = gateway.fake.received.length;
  await fc.assert(
    fc.asyncProperty(fc.array(segment, { maxLength: 5 }), async (segments) => {
      const answer = await send(gateway, "GET", `/${segments.join("/")}`);
      expect(answer.status).toBeLessThan(500);
    }),
    { numRuns: 200 },
  );
  const others = gateway.fake.received.slice(reached).filter(({ path }) => path !== "/");
  expect(others).toEqual([]);
});
