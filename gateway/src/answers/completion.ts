import { usageBody, type Form, type FormOptions } from "./form.ts";
import { completionLogprobs } from "./logprobs.ts";

/** OpenAI's text_completion, whole or in chunks. */
export function completionForm(options: FormOptions): Form {
  const { id, model, created, includeUsage, logprobs, usage } = options;
  const head = { id, object: "text_completion", model, created };
  const chunk = (index: number, text: string, rest: object = {}) => ({
    ...head,
    choices: [{ index, text, logprobs: null, finish_reason: null, ...rest }],
    ...(includeUsage ? { usage: null } : {}),
  });
  const written = new Map<number, number>();
  return {
    opening: () => [],
    text: (index, { text, probabilities }) => {
      const offset = written.get(index) ?? 0;
      written.set(index, offset + text.length);
      return chunk(index, text, { logprobs: completionLogprobs(probabilities, logprobs, offset) });
    },
    end: (index, { reason }) => chunk(index, "", { finish_reason: reason }),
    closing: () => (includeUsage ? [{ ...head, choices: [], usage: usageBody(usage) }] : []),
    lastLine: "data: [DONE]\n\n",
    whole: (choices) => ({
      ...head,
      choices: choices.map(({ text, probabilities, end }, index) => ({
        index,
        text,
        logprobs: completionLogprobs(probabilities, logprobs, 0),
        finish_reason: end.reason,
      })),
      usage: usageBody(usage),
    }),
  };
}
