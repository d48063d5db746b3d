import type { TokenProbabilities } from "../upstream/engine.ts";

/** OpenAI's value for a token that is not among the likeliest. */
const leastLikely = -9999;

/** `logprobs` of a chat completion. */
export function chatLogprobs(tokens: readonly TokenProbabilities[], others: number | undefined) {
  if (others === undefined) return null;
  return {
    content: tokens.map((token) => ({
      ...withBytes(token.token, logprobOf(token)),
      top_logprobs: token.likeliest
        .slice(0, others)
        .map((other) => withBytes(other.token, logarithm(other.probability))),
    })),
    refusal: null,
  };
}

/** `logprobs` of a completion. `offset`: where in the text the tokens begin. */
export function completionLogprobs(tokens: readonly TokenProbabilities[], others: number | undefined, offset: number) {
  if (others === undefined) return null;
  const starts: number[] = [];
  tokens.reduce((start, { token }) => {
    starts.push(start);
    return start + token.length;
  }, offset);
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(logprobOf),
    top_logprobs: tokens.map(({ likeliest }) =>
      Object.fromEntries(likeliest.slice(0, others).map((other) => [other.token, logarithm(other.probability)])),
    ),
    text_offset: starts,
  };
}

function withBytes(token: string, logprob: number) {
  return { token, logprob, bytes: [...Buffer.from(token)] };
}

function logprobOf({ token, likeliest }: TokenProbabilities): number {
  return logarithm(likeliest.find((other) => other.token === token)?.probability ?? 0);
}

function logarithm(probability: number): number {
  return probability > 0 ? Math.max(leastLikely, Math.log(probability)) : leastLikely;
}
