import { z } from "zod";
import { grammarProblem } from "../rules/grammar.ts";

/** What an engine does with a field. docs/api.md has a column for each. */
export interface FieldNotes extends Record<string, unknown> {
  description: string;
  /** `ik_llama.cpp`: bitnet.cpp's server does not know the field and goes on without it. */
  only?: "ik_llama.cpp";
}

/** An optional field. Some clients send null, which means unset. */
export function optional<T extends z.ZodType>(schema: T, notes: FieldNotes) {
  return schema.nullish().meta(notes);
}

/** A field of OpenAI's without effect here: accepted with any value, and not forwarded. */
export function ignored(description: string) {
  return z
    .unknown()
    .optional()
    .meta({ description: `${description} Accepted, without effect.` });
}

/** A list that must be empty, because the feature is not supported. */
export function emptyList(why: string) {
  return z.array(z.unknown()).max(0, { error: why });
}

/**
 * The most tokens that the engine's penalties look back on. It allocates memory for them at once, and 2^31 crashed the
 * process.
 */
const longestLookback = 16_384;

/** A replica compares each new token with all of them. OpenAI allows 4. */
const stopString = z.string().min(1).max(256);
const stop = z.union([stopString, z.array(stopString).max(16)], {
  error: "expected a string of 1 to 256 characters, or up to 16 of them",
});

const logitBias = z
  .record(z.string().regex(/^\d{1,7}$/, { error: "expected token numbers as keys" }), z.number().min(-100).max(100))
  .refine((bias) => Object.keys(bias).length <= 1024, { error: "expected up to 1024 tokens" });

/** -1 is llama-server's word for "no limit", which its chat page sends. */
export const tokenLimit = z.union([z.literal(-1), z.number().int().min(1).max(1_000_000)], {
  error: "expected a whole number from 1 to 1000000, or -1 for as many as fit",
});

/** Fields of OpenAI's that every way of asking for text has. */
export const common = {
  model: optional(z.string().max(256), {
    description: "Any name is accepted. There is one model, and the response contains its name.",
  }),
  stream: optional(z.boolean(), { description: "Stream the answer token by token, as server-sent events." }),
  stream_options: optional(
    z.object({ include_usage: z.boolean().nullish() }).refine((options) => Object.keys(options).length <= 16),
    { description: "`include_usage` adds a last chunk with the token counts of prompt and answer." },
  ),
  max_tokens: optional(tokenLimit, {
    description: "Maximum tokens in the answer. Default, -1 and upper limit: what still fits into the context.",
  }),
  temperature: optional(z.number().min(0).max(2), {
    description: "Sampling temperature; 0 always picks the most likely token.",
  }),
  top_p: optional(z.number().min(0).max(1), {
    description: "Sample from the most likely tokens whose probabilities add up to this.",
  }),
  frequency_penalty: optional(z.number().min(-2).max(2), {
    description: "Penalty on a token for each time that it has occurred.",
  }),
  presence_penalty: optional(z.number().min(-2).max(2), {
    description: "Penalty on a token that has occurred at all.",
  }),
  seed: optional(z.number().int().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER), {
    description: "The same seed gives the same answer. Taken modulo 2^32; -1 draws a random seed.",
  }),
  stop: optional(stop, { description: "The answer ends before the first of these strings." }),
  logit_bias: optional(logitBias, { description: "Values to add to tokens' logits, by token number." }),
  user: ignored("An id of the end user."),
  metadata: ignored("Labels for OpenAI's dashboard."),
  store: ignored("Whether OpenAI stores the answer."),
  service_tier: ignored("OpenAI's service tier."),
  safety_identifier: ignored("An id of the end user."),
  prompt_cache_key: ignored("Not needed: a conversation returns to the replica that has it in memory."),
};

/** llama-server's sampling settings, by its names. */
export const sampling = {
  top_k: optional(z.number().int().min(0).max(1_000_000), {
    description: "Sample from this many of the most likely tokens; 0 means all.",
  }),
  min_p: optional(z.number().min(0).max(1), {
    description: "Drop tokens whose probability is below this fraction of the most likely token's.",
  }),
  typical_p: optional(z.number().min(0).max(1), { description: "Locally typical sampling; 1 is off." }),
  tfs_z: optional(z.number().min(0).max(1), { description: "Tail free sampling; 1 is off." }),
  dynatemp_range: optional(z.number().min(0).max(2), { description: "Dynamic temperature range; 0 is off." }),
  dynatemp_exponent: optional(z.number().min(0).max(10), { description: "Dynamic temperature exponent." }),
  repeat_penalty: optional(z.number().gt(0).max(10), { description: "Divides the logits of recent tokens; 1 is off." }),
  repeat_last_n: optional(z.number().int().min(-1).max(longestLookback), {
    description: "How many recent tokens the penalties consider; -1 means the whole context.",
  }),
  penalize_nl: optional(z.boolean(), { description: "Whether newlines are penalised as well." }),
  mirostat: optional(z.number().int().min(0).max(2), { description: "Mirostat version; 0 is off." }),
  mirostat_tau: optional(z.number().min(0).max(100), { description: "Mirostat target entropy." }),
  mirostat_eta: optional(z.number().min(0).max(1), { description: "Mirostat learning rate." }),
  min_keep: optional(z.number().int().min(0).max(1000), {
    description: "Minimum number of tokens that every sampler keeps.",
  }),
  xtc_probability: optional(z.number().min(0).max(1), {
    description: "XTC probability; 0 is off.",
    only: "ik_llama.cpp",
  }),
  xtc_threshold: optional(z.number().min(0).max(1), { description: "XTC threshold.", only: "ik_llama.cpp" }),
  dry_multiplier: optional(z.number().min(0).max(10), {
    description: "DRY multiplier; 0 is off.",
    only: "ik_llama.cpp",
  }),
  dry_base: optional(z.number().min(1).max(10), { description: "DRY base.", only: "ik_llama.cpp" }),
  dry_allowed_length: optional(z.number().int().min(0).max(1000), {
    description: "Longest repetition, in tokens, that DRY does not penalise.",
    only: "ik_llama.cpp",
  }),
  dry_penalty_last_n: optional(z.number().int().min(-1).max(longestLookback), {
    description: "How many recent tokens DRY considers; -1 means the whole context.",
    only: "ik_llama.cpp",
  }),
  ignore_eos: optional(z.boolean(), { description: "Ignore the end-of-text token and continue up to `max_tokens`." }),
  grammar: optional(
    z.string().superRefine((text, context) => {
      const problem = grammarProblem(text);
      if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    }),
    { description: "A grammar, in llama.cpp's GBNF, that the answer must follow." },
  ),
};
