import { z } from "zod";
import { common, optional, sampling, tokenLimit } from "./fields.ts";
import { jsonSchema } from "./responseFormat.ts";

/** POST /completion in llama-server's own form, for its chat page: one prompt, one answer. */
export const pageCompletion = z.object({
  prompt: z.string().meta({ description: "The whole text, as the page has put it together." }),
  n_predict: optional(tokenLimit, { description: "Tokens of the answer; -1 is as many as fit." }),
  n_probs: optional(z.number().int().min(0).max(20), { description: "Say how likely so many tokens were, each time." }),
  ...common,
  ...sampling,
  // The page sends what stands in its settings, empty or not.
  grammar: optional(z.union([z.literal(""), sampling.grammar.unwrap()]), { description: "See above; empty is none." }),
  stop: optional(z.array(z.string().max(256)).max(16), { description: "The answer ends before any of these." }),
  json_schema: optional(jsonSchema, { description: "A schema that the answer follows." }),
});

export type PageCompletion = z.infer<typeof pageCompletion>;
