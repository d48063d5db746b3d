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
    description: "Any name is taken: one model is served, and the answer has its name.",
  }),
  stream: optional(z.boolean(), { description: "Send the answer token by token, as server-sent events." }),
  stream_options: optional(
    z.object({ include_usage: z.boolean().nullish() }).refine((options) => Object.keys(options).length <= 16),
    { description: "`include_usage`: a last chunk says how many tokens were read and written." },
  ),
  max_tokens: optional(tokenLimit, {
    description: "Tokens of the answer. By default, with -1, and at the most, what the context has room for.",
  }),
  temperature: optional(z.number().min(0).max(2), { description: "0 takes the likeliest token each time." }),
  top_p: optional(z.number().min(0).max(1), {
    description: "Choose among the likeliest tokens that together have it.",
  }),
  frequency_penalty: optional(z.number().min(-2).max(2), { description: "Per time that a token has been written." }),
  presence_penalty: optional(z.number().min(-2).max(2), { description: "If a token has been written at all." }),
  seed: optional(z.number().int().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER), {
    description: "The same seed gives the same answer, modulo 2^32; -1 is a random one.",
  }),
  stop: optional(stop, { description: "The answer ends before any of these." }),
  logit_bias: optional(logitBias, { description: "Added to the logits of tokens, given by number." }),
  user: ignored("Who asks."),
  metadata: ignored("Notes for OpenAI's dashboard."),
  store: ignored("Keep the answer."),
  service_tier: ignored("OpenAI's service tiers."),
  safety_identifier: ignored("Who asks."),
  prompt_cache_key: ignored("Conversations find the replica that knows them by themselves."),
};

/** llama-server's sampling settings, by its names. */
export const sampling = {
  top_k: optional(z.number().int().min(0).max(1_000_000), { description: "Choose among so many; 0 is all." }),
  min_p: optional(z.number().min(0).max(1), {
    description: "Leave out tokens less likely than this share of the best.",
  }),
  typical_p: optional(z.number().min(0).max(1), { description: "Locally typical sampling; 1 is off." }),
  tfs_z: optional(z.number().min(0).max(1), { description: "Tail free sampling; 1 is off." }),
  dynatemp_range: optional(z.number().min(0).max(2), { description: "Dynamic temperature; 0 is off." }),
  dynatemp_exponent: optional(z.number().min(0).max(10), { description: "Dynamic temperature's exponent." }),
  repeat_penalty: optional(z.number().gt(0).max(10), { description: "Divides what was written lately; 1 is off." }),
  repeat_last_n: optional(z.number().int().min(-1).max(longestLookback), {
    description: "How many tokens the penalties look back; -1 is the whole context.",
  }),
  penalize_nl: optional(z.boolean(), { description: "Whether line ends are penalised, too." }),
  mirostat: optional(z.number().int().min(0).max(2), { description: "Mirostat's version; 0 is off." }),
  mirostat_tau: optional(z.number().min(0).max(100), { description: "Mirostat's target entropy." }),
  mirostat_eta: optional(z.number().min(0).max(1), { description: "Mirostat's learning rate." }),
  min_keep: optional(z.number().int().min(0).max(1000), {
    description: "Every sampler leaves at least so many tokens.",
  }),
  xtc_probability: optional(z.number().min(0).max(1), { description: "XTC; 0 is off.", only: "ik_llama.cpp" }),
  xtc_threshold: optional(z.number().min(0).max(1), { description: "XTC's threshold.", only: "ik_llama.cpp" }),
  dry_multiplier: optional(z.number().min(0).max(10), { description: "DRY; 0 is off.", only: "ik_llama.cpp" }),
  dry_base: optional(z.number().min(1).max(10), { description: "DRY's base.", only: "ik_llama.cpp" }),
  dry_allowed_length: optional(z.number().int().min(0).max(1000), {
    description: "Repetitions up to here are free.",
    only: "ik_llama.cpp",
  }),
  dry_penalty_last_n: optional(z.number().int().min(-1).max(longestLookback), {
    description: "How far DRY looks back; -1 is the whole context.",
    only: "ik_llama.cpp",
  }),
  ignore_eos: optional(z.boolean(), { description: "Write on past the end, up to `max_tokens`." }),
  grammar: optional(
    z.string().superRefine((text, context) => {
      const problem = grammarProblem(text);
      if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    }),
    { description: "A grammar in llama.cpp's GBNF that the answer follows." },
  ),
};
