import { randomInt } from "node:crypto";
import { gguf } from "@huggingface/gguf";
import { z } from "zod";
import { logProbabilitiesOf } from "../../unit/model/referenceEngine.ts";

/**
 * How far an engine's log-probabilities may be from plain arithmetic's. Rounding comes to 0.15 to 0.34, measured with
 * ik_llama.cpp on 48 random models and 170 prompts: it rounds activations to 8 bits with four scales a row instead of one,
 * and its image has the embedding in 6 bits (Q6_K). What is computed wrongly comes to 0.7 to 6: a matrix left out, norms
 * without their weights, positions or heads mixed up, one token too many before a hundred.
 */
export const tolerance = 0.5;

/** In tokens: nothing to attend to, and a small and a larger batch. */
export const promptLengths = [1, 20, 100];

export interface Comparison {
  /** Between the log-probabilities of a token, over the whole vocabulary. */
  largestDifference: number;
  /** By how much the token that the engine chose is less likely, in plain arithmetic, than the likeliest: 0 if it is that. */
  choiceBehind: number;
}

/**
 * Compares what a llama-server says may come after a random prompt with plain arithmetic.
 * @param url without a path
 * @param model the file that the server's model was generated into
 */
export async function compareLogProbabilities(url: string, model: string, promptLength: number): Promise<Comparison> {
  const names = await tokenNames(model);
  const { prompt, chosen, probabilities } = await askAtRandom(url, names.length, promptLength);
  const expected = await logProbabilitiesOf(model, prompt);
  const differences = names.map((name, token) => {
    const probability = probabilities.get(name);
    if (probability === undefined) throw new Error(`the server says nothing of the token ${JSON.stringify(name)}`);
    return Math.abs(Math.log(probability) - (expected[token] ?? NaN));
  });
  const choiceBehind = Math.max(...expected) - (expected[names.indexOf(chosen)] ?? NaN);
  return { largestDifference: Math.max(...differences), choiceBehind };
}

const tokenizer = z.object({ "tokenizer.ggml.tokens": z.array(z.string()) });

/** How llama-server writes each token of a generated model, whose first 256 are the bytes. */
async function tokenNames(model: string): Promise<string[]> {
  const { metadata } = await gguf(model, { allowLocalFile: true });
  return tokenizer.parse(metadata)["tokenizer.ggml.tokens"].map((text, token) => {
    if (token >= 256) return text.replaceAll("Ġ", " ");
    return token < 128 ? String.fromCharCode(token) : `byte: \\x${token.toString(16)}`;
  });
}

const completion = z.object({
  completion_probabilities: z.array(
    z.object({ content: z.string(), probs: z.array(z.object({ tok_str: z.string(), prob: z.number() })) }),
  ),
});

/** What a server gives as the next token after a random prompt, and how probable each of the vocabulary was. */
async function askAtRandom(url: string, vocabulary: number, promptLength: number) {
  let answer: unknown;
  for (let attempt = 0; attempt < 20; attempt++) {
    const prompt = Array.from({ length: promptLength }, () => randomInt(vocabulary));
    answer = await complete(url, { prompt, n_probs: vocabulary, cache_prompt: false });
    const next = nextToken(answer);
    if (next !== undefined) return { prompt, ...next };
    // One token of four is a byte that is no character by itself: if it comes next, ik_llama.cpp's answer is an error, and
    // bitnet.cpp, which waits for the other bytes, tells no probabilities.
  }
  throw new Error(`the server tells no probabilities: ${JSON.stringify(answer).slice(0, 300)}`);
}

async function complete(
  url: string,
  options: { prompt: readonly number[]; n_probs: number; cache_prompt: boolean },
): Promise<unknown> {
  // Token numbers are taken as they are: nothing is put in front. At temperature 0 neither engine's samplers change the
  // probabilities. They have to be those of the whole vocabulary, as ik_llama.cpp counts the others twice in the sum that
  // it divides by.
  const body = JSON.stringify({ ...options, n_predict: 1, temperature: 0 });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/completion`, { method: "POST", headers, body });
  return response.json();
}

function nextToken(answer: unknown) {
  const next = completion.safeParse(answer).data?.completion_probabilities[0];
  if (next === undefined) return undefined;
  return { chosen: next.content, probabilities: new Map(next.probs.map(({ tok_str, prob }) => [tok_str, prob])) };
}

/**
 * A server's perplexity of a text: each token is asked for by a request that has all those before it.
 * @param tokens the first is given, and the others are expected one by one
 */
export async function perplexityBy(url: string, model: string, tokens: readonly number[]): Promise<number> {
  const names = await tokenNames(model);
  let sum = 0;
  for (let at = 1; at < tokens.length; at++) {
    // The server remembers all tokens but the last: as when it writes a text, it computes one at a time.
    const answer = await complete(url, { prompt: tokens.slice(0, at), n_probs: names.length, cache_prompt: true });
    const probability = nextToken(answer)?.probabilities.get(names[tokens[at] ?? NaN] ?? "");
    if (probability === undefined) throw new Error(`the server says nothing of token ${at}: ${JSON.stringify(answer)}`);
    sum += Math.log(probability);
  }
  return Math.exp(-sum / (tokens.length - 1));
}
