import { z } from "zod";
import { common, optional, sampling, tokenLimit } from "./fields.ts";
import { jsonSchema } from "./responseFormat.ts";

/** POST /completion in llama-server's own form, for its chat page: one prompt, one answer. */
export const pageCompletion = z.object({
  prompt: z.string().meta({ description: "The whole text, as the page assembled it." }),
  n_predict: optional(tokenLimit, { description: "Maximum tokens in the answer; -1 means as many as fit." }),
  n_probs: optional(z.number().int().min(0).max(20), {
    description: "Number of most likely tokens to return, with their probabilities, at each step.",
  }),
  ...common,
  ...sampling,
  // The page sends what stands in its settings, empty or not.
  grammar: optional(z.union([z.literal(""), sampling.grammar.unwrap()]), {
    description: "As above; empty means none.",
  }),
  stop: optional(z.array(z.string().max(256)).max(16), {
    description: "The answer ends before the first of these strings.",
  }),
  json_schema: optional(jsonSchema, { description: "A JSON Schema that the answer must follow." }),
});

export type PageCompletion = z.infer<typeof pageCompletion>;
