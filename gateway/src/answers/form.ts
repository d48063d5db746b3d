import type { End, Text, TokenProbabilities } from "../upstream/engine.ts";

/** One finished answer. */
export interface Choice {
  text: string;
  probabilities: readonly TokenProbabilities[];
  end: End;
}

/** Tokens read and written, over all choices. */
export interface Usage {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/** How an endpoint writes answers: as one object, or as the chunks of a stream. */
export interface Form {
  whole: (choices: readonly Choice[]) => unknown;
  /** Before the first text of a choice. */
  opening: (index: number) => unknown[];
  text: (index: number, text: Text) => unknown;
  end: (index: number, end: End) => unknown;
  /** After the end of all choices. */
  closing: () => unknown[];
  lastLine: string;
}

/** What the forms of OpenAI's have in common. */
export interface FormOptions {
  id: string;
  model: string;
  /** Seconds since 1970. */
  created: number;
  /** Whether a stream ends with the usage. */
  includeUsage: boolean;
  /** How many other tokens to name beside each; undefined: no probabilities at all. */
  logprobs: number | undefined;
  /** The usage so far: final when the last choice has ended. */
  usage: Usage;
}

export function usageBody({ promptTokens, cachedTokens, completionTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}
