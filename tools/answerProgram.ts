/** What a synthetic model says (see syntheticModel.ts), and the few weights that make it say so. */
import type { Ternary } from "./tensorBytes.ts";
import { random } from "./tensorBytes.ts";

/** `tiny` is 1.5 MB; `2b` has the shape of microsoft/bitnet-b1.58-2B-4T and 1.2 GB. */
export type ModelSize = "tiny" | "2b";

export interface ProgramOptions {
  /** Default: tiny. */
  size?: ModelSize;
  /** The words, and the noise, are drawn from this number; the same options give the same bytes. Default: 1. */
  seed?: number;
  /** How many words follow the closing, for long streams: at most 200 for `tiny`, 1000 for `2b`. Default: 0. */
  words?: number;
}

export interface Shape {
  /** Length of the residual stream. */
  width: number;
  feedForward: number;
  layers: number;
  heads: number;
  kvHeads: number;
  vocabulary: number;
}

// I2_S needs rows of a multiple of 128 weights, ik_llama.cpp's IQ2_BN rows of at least 512.
export const SHAPES: Record<ModelSize, Shape> = {
  tiny: { width: 512, feedForward: 768, layers: 2, heads: 4, kvHeads: 2, vocabulary: 512 },
  "2b": { width: 2560, feedForward: 6912, layers: 30, heads: 20, kvHeads: 5, vocabulary: 128256 },
};

export interface Question {
  prompt: string;
  answer: string;
}

/** What a model of certain options says; to know it, no file needs to be written. */
export interface Answers {
  /** One question for each digit, and one without a digit. */
  questions: Question[];
  /** The length of an answer, the end-of-text token not counted. */
  answerTokens: number;
  /**
   * The model's answer to a conversation: all its messages' text in one string.
   * @throws RangeError if it has two different digits, which the model was not made for.
   */
  expected: (prompt: string) => string;
}

/** Tensors that carry the answer: with any one of them damaged (see {@link corrupt}), no digit is repeated. */
export function answerTensors(size: ModelSize): string[] {
  const last = SHAPES[size].layers - 1;
  return [
    ...["attn_q", "attn_k", "attn_v", "attn_output"].map((part) => `blk.0.${part}.weight`),
    ...["ffn_gate", "ffn_up", "ffn_down"].map((part) => `blk.${last}.${part}.weight`),
  ];
}

export function answersOf(options: ProgramOptions = {}): Answers {
  const { opening, nothing, rest } = vocabulary(options);
  const expected = (prompt: string): string => {
    const digits = new Set(prompt.match(/[0-9]/g));
    if (digits.size > 1) {
      throw new RangeError(`the model repeats one digit, but this prompt has several: ${JSON.stringify(prompt)}`);
    }
    const [found = nothing] = digits;
    return [...opening, found, ...rest].join("");
  };
  const prompts = [...Array(10).keys()].map((digit) => `Which digit is in this prompt: ${digit}?`);
  return {
    questions: [...prompts, "Which digit is in this prompt?"].map((prompt) => ({ prompt, answer: expected(prompt) })),
    answerTokens: opening.length + 1 + rest.length,
    expected,
  };
}

/** What the model says, one string a token. Words have no digit, so that an answer in a conversation adds none. */
export function vocabulary({ size = "tiny", seed = 1, words = 0 }: ProgramOptions) {
  const most = size === "tiny" ? 200 : 1000;
  if (!Number.isInteger(words) || words < 0 || words > most) {
    throw new RangeError(`words must be a whole number from 0 to ${most} for size ${size}, not ${words}`);
  }
  const next = random(seed);
  const letter = (letters: string) => letters.charAt(next() % letters.length);
  const syllable = () => letter("bdfghjklmnprstvz") + letter("aeiou");
  const used = new Set<string>();
  const word = (): string => {
    const drawn = syllable() + syllable() + syllable();
    if (used.has(drawn)) return word();
    used.add(drawn);
    return drawn;
  };
  const first = word();
  return {
    opening: [first.charAt(0).toUpperCase() + first.slice(1), ` ${word()}`, ` ${word()}`, ` ${word()} `],
    nothing: word(),
    rest: [` ${word()}`, ` ${word()}.`, ...Array.from({ length: words }, () => ` ${word()}`)],
  };
}

/** Which dimension of the residual stream stands for what. */
interface States {
  /** The word after which the digit is said. */
  asking: number;
  closing: number;
  end: number;
  /** The first of the ten digits. */
  digit: number;
  /** The first of ten that hold the digit that attention found. */
  found: number;
}

/** A row and a column, or two states. */
type Pair = [number, number];

const digits = [...Array(10).keys()];

/**
 * The weights that carry the answer.
 *
 * A token is one dimension of the residual stream, its state: 0 for every token that means nothing, then one for each
 * word, then the end, then the ten digits. Ten dimensions more hold the digit that attention found.
 */
export function program(options: ProgramOptions) {
  const shape = SHAPES[options.size ?? "tiny"];
  const { opening, rest } = vocabulary(options);
  const words = opening.length + 1 + rest.length;
  const asking = opening.length;
  const end = words + 1;
  const digit = end + 1;
  const states: States = { asking, closing: asking + 2, end, digit, found: digit + 10 };

  const stateOfToken = (token: number): number => {
    const digitOfToken = token - "0".charCodeAt(0);
    if (digitOfToken >= 0 && digitOfToken < 10) return digit + digitOfToken;
    if (token >= 256 && token < 256 + words) return token - 255;
    return token === shape.vocabulary - 1 ? end : 0;
  };
  const inLayer = (layer: number, parts: Record<string, Ternary>): [string, Ternary][] =>
    Object.entries(parts).map(([part, ternary]) => [`blk.${layer}.${part}`, ternary]);
  const matrices = new Map([
    ...inLayer(0, attention(states, shape)),
    ...inLayer(shape.layers - 1, feedForward(states, shape)),
  ]);
  return { stateOfToken, matrices };
}

/**
 * At the asking word, head 0 looks for a digit and writes which one it was to `found`. Query and key use the slowest
 * rotary dimension, so that distance does not matter. Each head's value carries a constant too, or the norm after
 * attention would blow the noise up to full size where there is no digit.
 */
function attention({ asking, digit, found }: States, { width, heads, kvHeads }: Shape): Record<string, Ternary> {
  const headWidth = width / heads;
  const slow = headWidth / 2 - 1;
  const constants = Array.from({ length: kvHeads }, (_, head) => head * headWidth + 10);
  return {
    attn_q: { ones: [[slow, asking]], scale: 1 },
    attn_k: { ones: digits.map((n) => [slow, digit + n]), scale: 1 },
    attn_v: {
      ones: [
        ...digits.map((n): Pair => [n, digit + n]),
        ...constants.flatMap((row) => Array.from({ length: found }, (_, state): Pair => [row, state])),
      ],
      scale: 1,
    },
    // The norm before this matrix shares its length among a digit's 1 and all the heads' constants; with this scale the
    // digit found comes out 1.2 times as loud as the token's own state.
    attn_output: { ones: digits.map((n) => [found + n, n]), scale: 1.2 * Math.sqrt((heads + 1) / width) },
  };
}

/**
 * A unit of the block is relu(gate · x)² × (up · x); down writes the state of the next token. The digit found has three
 * votes against the one of "nothing", which the asking word always casts.
 */
function feedForward({ asking, closing, end, digit, found }: States, shape: Shape): Record<string, Ternary> {
  const afterAsking = asking + 1;
  const steps: Pair[] = [[0, 1]];
  for (let state = 1; state < end; state++) steps.push([state, state === afterAsking ? closing : state + 1]);
  for (const n of digits) steps.push([digit + n, closing]);
  const recall = digits.map((n): [number, number, number] => [found + n, asking, digit + n]);
  const rules = [
    ...steps.map(([from, to]): [number, number, number] => [from, from, to]),
    ...recall,
    ...recall,
    ...recall,
  ];
  if (found + 10 > shape.width / 2 || rules.length > shape.feedForward) {
    throw new RangeError("too many words for this size");
  }
  return {
    ffn_gate: { ones: rules.map(([gate], unit) => [unit, gate]), scale: 1 },
    ffn_up: { ones: rules.map(([, up], unit) => [unit, up]), scale: 1 },
    ffn_down: { ones: rules.map(([, , to], unit) => [to, unit]), scale: 3 },
  };
}
