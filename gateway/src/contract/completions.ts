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
      prompt: prompt.meta({ description: "The text to continue, as is: no chat template is applied." }),
      n: optional(z.number().int().min(1).max(slots), {
        description: "Number of answers per prompt, at most as many as one replica has slots.",
      }),
      logprobs: optional(z.number().int().min(0).max(5), {
        description: "Return each token's log probability, and those of this many alternatives.",
      }),
      best_of: optional(z.literal(1, { error: "only 1 is possible" }), { description: "Must be 1." }),
      echo: optional(z.literal(false, { error: "the prompt cannot be repeated" }), { description: "Must be false." }),
      suffix: optional(z.literal("", { error: "no BitNet model was trained to fill gaps" }), {
        description: "Must be empty: no BitNet model was trained to fill gaps.",
      }),
      ...common,
      ...sampling,
      json_schema: optional(jsonSchema, { description: "A JSON Schema that the answer must follow." }),
      response_format: ignored("A field of /v1/chat/completions."),
    })
    .refine((body) => body.grammar == null || body.json_schema == null, {
      path: ["grammar"],
      error: "cannot be combined with `json_schema`",
    });
}

export type Completions = z.infer<ReturnType<typeof completions>>;
