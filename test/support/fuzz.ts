import fc from "fast-check";
import { chatCompletions } from "../../gateway/src/contract/chatCompletions.ts";
import { completions } from "../../gateway/src/contract/completions.ts";

const dangerous = "system_prompt id_slot n_keep n_discard grammar_lazy reasoning_format banned_strings __proto__".split(
  " ",
);
const schemas = { "/v1/chat/completions": chatCompletions({ slots: 4 }), "/v1/completions": completions({ slots: 4 }) };
const fields = [...new Set(Object.values(schemas).flatMap(({ shape }) => Object.keys(shape)))];

/** The endpoint for a body. */
export const fuzzPath = fc.constantFrom(...Object.keys(schemas), "/completion");

const question = { messages: [{ role: "user", content: "hi 5" }], prompt: "hi 5" };

/** Known fields with wrong values, unknown fields, and sometimes a valid request for a short answer. */
export const fuzzBody = fc
  .tuple(
    fc.constantFrom({ ...question, max_tokens: 8 }, {}),
    fc.dictionary(
      fc.constantFrom(...fields, ...dangerous),
      fc.oneof(fc.jsonValue(), fc.double(), fc.integer({ min: -3, max: 3 })),
      { maxKeys: 3 },
    ),
  )
  .map(([right, wrong]) => ({ ...right, ...wrong }));

/** Number of bodies. For a run overnight: FUZZ_RUNS=10000. */
export function fuzzRuns(usually: number): number {
  return Number(process.env.FUZZ_RUNS ?? usually);
}
