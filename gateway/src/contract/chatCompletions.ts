import { z } from "zod";
import { common, emptyList, ignored, optional, sampling, tokenLimit } from "./fields.ts";
import { jsonSchema, responseFormat } from "./responseFormat.ts";

const noTools = "No BitNet model was trained to call tools, and their templates have no place for them.";

const textPart = z.object({ type: z.literal("text"), text: z.string() });
const content = z
  .union([z.string(), z.array(textPart).min(1).max(256)], {
    error: 'expected a string or a list of parts of the form {"type": "text", "text": "…"}; the model reads text only',
  })
  .transform((parts) => (typeof parts === "string" ? parts : parts.map(({ text }) => text).join("\n")));

/** Names of authors are dropped: no template of a BitNet model prints them. */
const message = z.discriminatedUnion(
  "role",
  [
    z.object({ role: z.literal("system"), content }),
    // OpenAI's newer name for the same.
    z.object({ role: z.literal("developer").transform(() => "system" as const), content }),
    z.object({ role: z.literal("user"), content }),
    z.object({ role: z.literal("assistant"), content }),
  ],
  { error: `expected a \`role\` of system, developer, user or assistant. ${noTools}` },
);

export type Message = z.infer<typeof message>;

/** OpenAI's fields for tools, which may only say that there are none. */
const toolFields = {
  tools: optional(emptyList(noTools), { description: `Must be empty. ${noTools}` }),
  tool_choice: optional(z.enum(["none", "auto"], { error: noTools }), { description: "Must be `none` or `auto`." }),
  functions: optional(emptyList(noTools), { description: "OpenAI's earlier name for `tools`." }),
  function_call: optional(z.enum(["none", "auto"], { error: noTools }), {
    description: "OpenAI's earlier name for `tool_choice`.",
  }),
};

/** POST /v1/chat/completions. `slots`: the most choices that one request may ask for. */
export function chatCompletions({ slots }: { slots: number }) {
  return z
    .object({
      messages: z.array(message).min(1).max(2048).meta({
        description: "The conversation: text, or parts of type `text`. Roles: system, developer, user, assistant.",
      }),
      n: optional(z.number().int().min(1).max(slots), {
        description: "Number of answers, at most as many as one replica has slots.",
      }),
      max_completion_tokens: optional(tokenLimit, {
        description: "OpenAI's current name for `max_tokens`; takes precedence over it.",
      }),
      response_format: optional(responseFormat, {
        description:
          "`json_object`, or a `json_schema` of bounded size: no `pattern`, up to 200 parts, nested up to 12 deep.",
      }),
      logprobs: optional(z.boolean(), { description: "Return the log probability of each token." }),
      top_logprobs: optional(z.number().int().min(0).max(20), { description: "Alternatives each. Needs `logprobs`." }),
      ...toolFields,
      modalities: optional(z.array(z.literal("text", { error: "the model writes text only" })).max(1), {
        description: "Text only.",
      }),
      ...common,
      ...sampling,
      json_schema: optional(jsonSchema, { description: "llama-server's name for a schema of the answer." }),
      parallel_tool_calls: ignored("Whether several tools may be called at once."),
      prediction: ignored("Predicted content of the answer."),
      reasoning_effort: ignored("How much to reason."),
      verbosity: ignored("How detailed to answer."),
    })
    .refine((body) => body.top_logprobs == null || body.logprobs === true, {
      path: ["top_logprobs"],
      error: "needs `logprobs: true`",
    })
    .refine((body) => body.grammar == null || (body.json_schema ?? body.response_format) == null, {
      path: ["grammar"],
      error: "cannot be combined with `json_schema` or `response_format`",
    });
}

export type ChatCompletions = z.infer<ReturnType<typeof chatCompletions>>;
