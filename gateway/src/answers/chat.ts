import { usageBody, type Form, type FormOptions } from "./form.ts";
import { chatLogprobs } from "./logprobs.ts";

/** OpenAI's chat.completion, and chat.completion.chunk. */
export function chatForm(options: FormOptions): Form {
  const { id, model, created, includeUsage, logprobs, usage } = options;
  const head = { id, model, created };
  const chunk = (index: number, delta: object, rest: object = {}) => ({
    ...head,
    object: "chat.completion.chunk",
    choices: [{ index, delta, logprobs: null, finish_reason: null, ...rest }],
    ...(includeUsage ? { usage: null } : {}),
  });
  return {
    opening: (index) => [chunk(index, { role: "assistant", content: "", refusal: null })],
    text: (index, { text, probabilities }) =>
      chunk(index, { content: text }, { logprobs: chatLogprobs(probabilities, logprobs) }),
    end: (index, { reason }) => chunk(index, {}, { finish_reason: reason }),
    closing: () =>
      includeUsage ? [{ ...head, object: "chat.completion.chunk", choices: [], usage: usageBody(usage) }] : [],
    lastLine: "data: [DONE]\n\n",
    whole: (choices) => ({
      ...head,
      object: "chat.completion",
      choices: choices.map(({ text, probabilities, end }, index) => ({
        index,
        message: { role: "assistant", content: text, refusal: null },
        logprobs: chatLogprobs(probabilities, logprobs),
        finish_reason: end.reason,
      })),
      usage: usageBody(usage),
    }),
  };
}
