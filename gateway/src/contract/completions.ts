import { z } from "zod";
import { common, ignored, optional, sampling } from "./fields.ts";
import { jsonSchema } from "./responseFormat.ts";

const tokens = z.array(z.number().int().min(0)).min(1).max(200_000);

/** A text, or its tokens by number; or several of these. The engine itself knows how many numbers there are. */
export const prompt = z.union(
  [
    z.string(),
    tokens,
    z
      .array(z.union([z.string(), tokens]))
      .min(1)
      .max(16),
  ],
  {
    error: "expected a string, a list of token numbers, or a list of up to 16 of these",
  },
);

export type Prompt = string | readonly number[];

/** Whether one prompt or several, as a list. */
export function promptList(value: z.infer<typeof prompt>): Prompt[] {
  if (typeof value === "string") return [value];
  return value.every((item) => typeof item === "number") ? [value] : value;
}

/** POST /v1/completions. `slots`: the most choices for each prompt. */
export function completions({ slots }: { slots: number }) {
  return z
    .object({
      prompt: prompt.meta({ description: "The text to go on from, as it is: no template is put around it." }),
      n: optional(z.number().int().min(1).max(slots), {
        description: "How many answers to each prompt: up to as many as one replica gives at once.",
      }),
      logprobs: optional(z.number().int().min(0).max(5), {
        description: "Say how likely each token was, and so many others.",
      }),
      best_of: optional(z.literal(1, { error: "only 1 is possible" }), { description: "Only 1." }),
      echo: optional(z.literal(false, { error: "the prompt cannot be repeated" }), { description: "Only false." }),
      suffix: optional(z.literal("", { error: "no BitNet model was trained to fill gaps" }), {
        description: "Only empty: no BitNet model was trained to fill gaps.",
      }),
      ...common,
      ...sampling,
      json_schema: optional(jsonSchema, { description: "A schema that the answer follows." }),
      response_format: ignored("Belongs to /v1/chat/completions."),
    })
    .refine((body) => body.grammar == null || body.json_schema == null, {
      path: ["grammar"],
      error: "cannot be combined with `json_schema`",
    });
}

export type Completions = z.infer<ReturnType<typeof completions>>;
