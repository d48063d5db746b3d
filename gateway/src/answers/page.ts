import type { End, TokenProbabilities } from "../upstream/engine.ts";
import type { Form, Usage } from "./form.ts";

/** llama-server's own form, for its chat page. */
export function pageForm({ model, usage }: { model: string; usage: Usage }): Form {
  const ending = ({ reason, stoppingWord, timings }: End) => ({
    stop: true,
    model,
    tokens_evaluated: usage.promptTokens,
    tokens_predicted: usage.completionTokens,
    tokens_cached: usage.promptTokens + usage.completionTokens,
    truncated: false,
    stopped_eos: reason === "stop" && stoppingWord === "",
    stopped_word: stoppingWord !== "",
    stopped_limit: reason === "length",
    stopping_word: stoppingWord,
    timings,
  });
  return {
    opening: () => [],
    text: (_index, { text, probabilities }) => ({ content: text, stop: false, ...named(probabilities) }),
    end: (_index, end) => ({ content: "", ...ending(end) }),
    closing: () => [],
    lastLine: "",
    whole: ([choice]) =>
      choice === undefined ? {} : { content: choice.text, ...ending(choice.end), ...named(choice.probabilities) },
  };
}

function named(tokens: readonly TokenProbabilities[]) {
  if (tokens.length === 0) return {};
  return {
    completion_probabilities: tokens.map(({ token, likeliest }) => ({
      content: token,
      probs: likeliest.map((other) => ({ tok_str: other.token, prob: other.probability })),
    })),
  };
}
