/**
 * Writes small, valid BitNet b1.58 GGUF files, so that a real engine has a real model to load where none can be
 * downloaded, and so that tests know the one right answer to a question.
 *
 * A model says an opening, then repeats the digit that the prompt contains (a word for "nothing" if it has none), then
 * a closing, then any number of words more, then ends. All words are drawn from the seed. The digit is found by
 * attention over the whole prompt and the words follow each other by the feed-forward block: an engine that multiplies
 * ternary weights wrongly, mixes up its KV cache, its slots or its conversations, or loses a token, answers something
 * else. Everything but the first layer's attention and the last layer's feed-forward block is noise of next to no
 * amplitude, so speed and memory are those of a trained model of the same shape.
 *
 * A random model (see {@link writeRandomModel}) says nothing that makes sense, but every one of its weights counts: it is
 * there to compare an engine's log-probabilities with.
 *
 *     node tools/syntheticModel.ts tiny model.gguf --seed 7 --words 200 --questions questions.txt
 *
 * The container's format is the GGUF specification's (github.com/ggml-org/ggml, docs/gguf.md). I2_S was read from
 * `quantize_i2_s` in microsoft/BitNet, src/ggml-bitnet-mad.cpp, and checked with bitnet.cpp and ik_llama.cpp.
 */
import { open, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Tensor, Value } from "./gguf.ts";
import { ALIGNMENT, byteLength, ggufHeader, I2_S_TAIL, padded, writeGguf } from "./gguf.ts";

/** `tiny` is 1.5 MB; `2b` has the shape of microsoft/bitnet-b1.58-2B-4T and 1.2 GB. */
export type ModelSize = "tiny" | "2b";

export interface SyntheticModelOptions {
  /** Default: tiny. */
  size?: ModelSize;
  /** The words, and the noise, are drawn from this number; the same options give the same bytes. Default: 1. */
  seed?: number;
  /** How many words follow the closing, for long streams: at most 200 for `tiny`, 1000 for `2b`. Default: 0. */
  words?: number;
  /** `general.name` in the file. Default: bitnet-synthetic-<size>. */
  name?: string;
  /** The context length, in tokens, that the file says the model was trained with. Default: 4096. */
  contextLength?: number;
  /** `general.architecture` in the file. Default: bitnet-b1.58. With another one, the file only looks like a model. */
  architecture?: string;
  /** The type of the linear layers' weights. Default: I2_S. With another one they are all zero: a model to refuse. */
  weightType?: "I2_S" | "F16" | "Q4_K";
}

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

export function answersOf(options: SyntheticModelOptions = {}): Answers {
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

/** Writes the model tensor by tensor: no more than a few MB of it are ever in memory. */
export async function writeSyntheticModel(path: string, options: SyntheticModelOptions = {}): Promise<Answers> {
  const tensors = tensorsOf(options);
  await writeGguf(path, metadata(options), tensors);
  return answersOf(options);
}

export type RandomModelOptions = Pick<SyntheticModelOptions, "size" | "seed" | "name">;

/** Writes a model of the same shape whose weights are all drawn from the seed. */
export async function writeRandomModel(path: string, options: RandomModelOptions = {}): Promise<void> {
  const tensors = tensorsOf(options, drawnWeights(options));
  await writeGguf(path, metadata(options), tensors);
}

/**
 * Sets all weights of one ternary tensor to 0, in the file; everything else, the tensor's scale included, stays.
 * `options` are those that the file was written with.
 */
export async function corrupt(path: string, tensorName: string, options: SyntheticModelOptions = {}): Promise<void> {
  const tensors = tensorsOf(options);
  const index = tensors.findIndex(({ name }) => name === tensorName);
  const tensor = tensors[index];
  if (tensor?.type !== "I2_S") throw new RangeError(`no ternary tensor is called ${JSON.stringify(tensorName)}`);
  const before = tensors.slice(0, index).reduce((sum, { type, dims }) => sum + padded(byteLength(type, dims)), 0);
  const file = await open(path, "r+");
  try {
    const zeros = Buffer.alloc(byteLength("I2_S", tensor.dims) - I2_S_TAIL, I2_S_ZEROS);
    await file.write(zeros, 0, zeros.length, ggufHeader(metadata(options), tensors).length + before);
  } finally {
    await file.close();
  }
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

/** Four weights of 0 each: 01 01 01 01. */
const I2_S_ZEROS = 0b01010101;
/** What four weights can be: every byte without a pair of bits that is 3, which stands for no weight. */
const I2_S_BYTES = [...Array(256).keys()].filter((byte) => (byte & (byte >>> 1) & 0b01010101) === 0);
const CHUNK = 4 << 20;
const SPECIAL_TOKENS = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"];
const CHAT_TEMPLATE =
  "{% for m in messages %}{{ m['role'] | capitalize }}: {{ m['content'] | trim }}<|eot_id|>{% endfor %}" +
  "{% if add_generation_prompt %}Assistant: {% endif %}";

/** A ternary matrix that is zero but for some weights of +1, each named by its row and column. */
interface Ternary {
  ones: [row: number, column: number][];
  scale: number;
}

/** mulberry32: 32 random bits a call, the same for the same seed on every machine. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return (bits ^ (bits >>> 14)) >>> 0;
  };
}

/** What the model says, one string a token. Words have no digit, so that an answer in a conversation adds none. */
function vocabulary({ size = "tiny", seed = 1, words = 0 }: SyntheticModelOptions) {
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

/** GPT-2's printable stand-ins for the 256 bytes, in byte order: the space is "Ġ". */
function byteAlphabet(): string[] {
  const printable = (byte: number) =>
    (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || (byte > 173 && byte < 256);
  let hidden = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : hidden++));
}

/** What stands in a model's tensors, as bytes. */
interface Weights {
  embedding: (width: number, rows: number) => Iterable<Uint8Array>;
  norm: (length: number) => Float32Array<ArrayBuffer>;
  /** In I2_S. */
  linear: (name: string, columns: number, rows: number) => Iterable<Uint8Array>;
}

/** The program, and noise. */
function programmedWeights(options: SyntheticModelOptions): Weights {
  const { stateOfToken, matrices } = program(options, SHAPES[options.size ?? "tiny"]);
  const noise = random(~(options.seed ?? 1));
  return {
    embedding: (width, rows) => oneHot(stateOfToken, width, rows),
    norm: (length) => new Float32Array(length).fill(1),
    linear: (name, columns, rows) => {
      const ternary = matrices.get(name);
      return ternary === undefined ? packedNoise(noise, columns, rows) : packed(ternary, columns, rows);
    },
  };
}

/** With these, activations stay of order 1, and the most likely token has a probability of some hundredths. */
function drawnWeights({ seed = 1 }: RandomModelOptions): Weights {
  const next = random(~seed);
  return {
    embedding: (width, rows) => drawnHalves(next, width * rows),
    norm: (length) => Float32Array.from({ length }, () => 0.5 + next() / 2 ** 32),
    linear: (_, columns, rows) => packedThirds(next, columns, rows),
  };
}

function tensorsOf(options: SyntheticModelOptions, weights = programmedWeights(options)): Tensor[] {
  const { size = "tiny", weightType = "I2_S" } = options;
  const shape = SHAPES[size];
  const { width, feedForward } = shape;
  const kvWidth = (width / shape.heads) * shape.kvHeads;

  const norm = (name: string, length: number): Tensor => ({
    name: `${name}.weight`,
    dims: [length],
    type: "F32",
    content: () => [new Uint8Array(weights.norm(length).buffer)],
  });
  const linear = (name: string, columns: number, rows: number): Tensor => ({
    name: `${name}.weight`,
    dims: [columns, rows],
    type: weightType,
    content: () => {
      if (weightType !== "I2_S") return zeros(byteLength(weightType, [columns, rows]));
      return weights.linear(name, columns, rows);
    },
  });

  const layers = Array.from({ length: shape.layers }, (_, layer) => {
    const name = (part: string) => `blk.${layer}.${part}`;
    return [
      norm(name("attn_norm"), width),
      norm(name("attn_sub_norm"), width),
      norm(name("ffn_norm"), width),
      norm(name("ffn_sub_norm"), feedForward),
      linear(name("attn_q"), width, width),
      linear(name("attn_k"), width, kvWidth),
      linear(name("attn_v"), width, kvWidth),
      linear(name("attn_output"), width, width),
      linear(name("ffn_gate"), width, feedForward),
      linear(name("ffn_up"), width, feedForward),
      linear(name("ffn_down"), feedForward, width),
    ];
  });
  return [
    {
      name: "token_embd.weight",
      dims: [width, shape.vocabulary],
      type: "F16",
      content: () => weights.embedding(width, shape.vocabulary),
    },
    norm("output_norm", width),
    ...layers.flat(),
  ];
}

/**
 * The weights that carry the answer.
 *
 * A token is one dimension of the residual stream, its state: 0 for every token that means nothing, then one for each
 * word, then the end, then the ten digits. Ten dimensions more hold the digit that attention found.
 */
function program(options: SyntheticModelOptions, shape: Shape) {
  const { opening, rest } = vocabulary(options);
  const { width, heads, kvHeads, feedForward } = shape;
  const headWidth = width / heads;
  const words = opening.length + 1 + rest.length;
  const asking = opening.length;
  const afterAsking = asking + 1;
  const closing = asking + 2;
  const end = words + 1;
  const digit = end + 1;
  const found = digit + 10;
  const digits = [...Array(10).keys()];

  const stateOfToken = (token: number): number => {
    const digitOfToken = token - "0".charCodeAt(0);
    if (digitOfToken >= 0 && digitOfToken < 10) return digit + digitOfToken;
    if (token >= 256 && token < 256 + words) return token - 255;
    return token === shape.vocabulary - 1 ? end : 0;
  };

  // At the asking word, head 0 looks for a digit and writes which one it was to `found`. Query and key use the slowest
  // rotary dimension, so that distance does not matter. Each head's value carries a constant too, or the norm after
  // attention would blow the noise up to full size where there is no digit.
  const slow = headWidth / 2 - 1;
  const constants = Array.from({ length: kvHeads }, (_, head) => head * headWidth + 10);
  const attention = {
    attn_q: { ones: [[slow, asking]], scale: 1 },
    attn_k: { ones: digits.map((n) => [slow, digit + n]), scale: 1 },
    attn_v: {
      ones: [
        ...digits.map((n): [number, number] => [n, digit + n]),
        ...constants.flatMap((row) => Array.from({ length: found }, (_, state): [number, number] => [row, state])),
      ],
      scale: 1,
    },
    // The norm before this matrix shares its length among a digit's 1 and all the heads' constants; with this scale the
    // digit found comes out 1.2 times as loud as the token's own state.
    attn_output: { ones: digits.map((n) => [found + n, n]), scale: 1.2 * Math.sqrt((heads + 1) / width) },
  } satisfies Record<string, Ternary>;

  // A unit of the block is relu(gate · x)² × (up · x); down writes the state of the next token. The digit found has
  // three votes against the one of "nothing", which the asking word always casts.
  const steps: [from: number, to: number][] = [[0, 1]];
  for (let state = 1; state < end; state++) steps.push([state, state === afterAsking ? closing : state + 1]);
  for (const n of digits) steps.push([digit + n, closing]);
  const recall = digits.map((n): [number, number, number] => [found + n, asking, digit + n]);
  const rules = [
    ...steps.map(([from, to]): [number, number, number] => [from, from, to]),
    ...recall,
    ...recall,
    ...recall,
  ];
  if (found + 10 > width / 2 || rules.length > feedForward) throw new RangeError("too many words for this size");
  const feedForwardBlock = {
    ffn_gate: { ones: rules.map(([gate], unit) => [unit, gate]), scale: 1 },
    ffn_up: { ones: rules.map(([, up], unit) => [unit, up]), scale: 1 },
    ffn_down: { ones: rules.map(([, , to], unit) => [to, unit]), scale: 3 },
  } satisfies Record<string, Ternary>;
  const inLayer = (layer: number, parts: Record<string, Ternary>): [string, Ternary][] =>
    Object.entries(parts).map(([part, ternary]) => [`blk.${layer}.${part}`, ternary]);
  const matrices = new Map([...inLayer(0, attention), ...inLayer(shape.layers - 1, feedForwardBlock)]);
  return { stateOfToken, matrices };
}

function* zeros(length: number): Generator<Uint8Array> {
  for (let done = 0; done < length; done += CHUNK) yield Buffer.alloc(Math.min(CHUNK, length - done));
}

/** An F16 matrix whose rows are zero but for one 1. */
function* oneHot(column: (row: number) => number, columns: number, rows: number): Generator<Uint8Array> {
  const rowsAtOnce = Math.floor(CHUNK / (columns * 2));
  for (let first = 0; first < rows; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - first);
    const chunk = new Uint16Array(count * columns);
    for (let row = 0; row < count; row++) chunk[row * columns + column(first + row)] = 0x3c00;
    yield new Uint8Array(chunk.buffer);
  }
}

function scaleTail(scale: number): Uint8Array {
  const tail = Buffer.alloc(I2_S_TAIL);
  tail.writeFloatLE(scale);
  return tail;
}

/**
 * I2_S: a weight takes two bits, 0, 1, 2 for −1, 0, +1. A block of 128 weights takes 32 bytes; byte j holds weights j,
 * 32+j, 64+j, 96+j from its high bits down. The tensor's one float32 scale follows.
 */
function* packed({ ones, scale }: Ternary, columns: number, rows: number): Generator<Uint8Array> {
  const bytes = Buffer.alloc((columns * rows) / 4, I2_S_ZEROS);
  for (const [row, column] of ones) {
    const weight = row * columns + column;
    const at = (weight >> 7) * 32 + (weight & 31);
    bytes[at] = (bytes[at] ?? 0) + (1 << (6 - 2 * ((weight & 127) >> 5)));
  }
  yield bytes;
  yield scaleTail(scale);
}

/** So many bytes, drawn four at a time. */
function* drawn(length: number, fourBytes: () => number): Generator<Uint8Array> {
  for (let done = 0; done < length; done += CHUNK) {
    const chunk = new Uint32Array(Math.min(CHUNK, length - done) / 4);
    for (let i = 0; i < chunk.length; i++) chunk[i] = fourBytes();
    yield new Uint8Array(chunk.buffer);
  }
}

function* packedNoise(next: () => number, columns: number, rows: number): Generator<Uint8Array> {
  yield* drawn((columns * rows) / 4, () => {
    // 3 stands for no weight: of each pair of bits that would be 3, the low bit goes.
    const bits = next();
    return bits & ~((bits >>> 1) & 0x55555555);
  });
  yield scaleTail(1e-3 / Math.sqrt(columns));
}

/** A third each of −1, 0 and +1; what comes out of the matrix is about as large as what goes in. */
function* packedThirds(next: () => number, columns: number, rows: number): Generator<Uint8Array> {
  const byte = () => I2_S_BYTES[next() % I2_S_BYTES.length] ?? I2_S_ZEROS;
  yield* drawn((columns * rows) / 4, () => byte() | (byte() << 8) | (byte() << 16) | (byte() << 24));
  yield scaleTail(1 / Math.sqrt((2 / 3) * columns));
}

/** F16 numbers of either sign between 1/128 and 1/8: all bits are drawn but the high three of the exponent. */
function drawnHalves(next: () => number, count: number): Generator<Uint8Array> {
  return drawn(count * 2, () => 0x20002000 | (next() & 0x8fff8fff));
}

/** What the file says of the model, besides its tensors. */
export function metadata(options: SyntheticModelOptions): Record<string, Value> {
  const { size = "tiny", architecture = "bitnet-b1.58", contextLength = 4096 } = options;
  const shape = SHAPES[size];
  const { opening, nothing, rest } = vocabulary(options);
  const alphabet = byteAlphabet();
  const space = alphabet[32] ?? "";
  const words = [...opening, nothing, ...rest].map((word) => word.replaceAll(" ", space));
  const unused = shape.vocabulary - alphabet.length - words.length - SPECIAL_TOKENS.length;
  const ordinary = [...alphabet, ...words, ...Array.from({ length: unused }, (_, i) => `unused${i}`)];
  return {
    "general.architecture": { text: architecture },
    "general.name": { text: options.name ?? `bitnet-synthetic-${size}` },
    // MOSTLY_I2_S in Microsoft's fork of llama.cpp.
    "general.file_type": { uint32: 40 },
    "general.alignment": { uint32: ALIGNMENT },
    [`${architecture}.vocab_size`]: { uint32: shape.vocabulary },
    [`${architecture}.context_length`]: { uint32: contextLength },
    [`${architecture}.embedding_length`]: { uint32: shape.width },
    [`${architecture}.block_count`]: { uint32: shape.layers },
    [`${architecture}.feed_forward_length`]: { uint32: shape.feedForward },
    [`${architecture}.rope.dimension_count`]: { uint32: shape.width / shape.heads },
    [`${architecture}.attention.head_count`]: { uint32: shape.heads },
    [`${architecture}.attention.head_count_kv`]: { uint32: shape.kvHeads },
    [`${architecture}.attention.layer_norm_rms_epsilon`]: { float32: 1e-5 },
    [`${architecture}.rope.freq_base`]: { float32: 500000 },
    "tokenizer.ggml.model": { text: "gpt2" },
    "tokenizer.ggml.pre": { text: "llama-bpe" },
    "tokenizer.ggml.tokens": { texts: [...ordinary, ...SPECIAL_TOKENS] },
    // 1 is an ordinary token, 3 a control token.
    "tokenizer.ggml.token_type": { int32s: [...ordinary.map(() => 1), ...SPECIAL_TOKENS.map(() => 3)] },
    "tokenizer.ggml.merges": { texts: [`${space} t`] },
    "tokenizer.ggml.bos_token_id": { uint32: shape.vocabulary - 3 },
    "tokenizer.ggml.eos_token_id": { uint32: shape.vocabulary - 1 },
    "tokenizer.ggml.add_bos_token": { bool: true },
    "tokenizer.chat_template": { text: CHAT_TEMPLATE },
  };
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: "string", default: "1" },
      words: { type: "string", default: "0" },
      questions: { type: "string" },
    },
  });
  const [size, path] = positionals;
  if ((size !== "tiny" && size !== "2b") || path === undefined) {
    console.error("usage: node tools/syntheticModel.ts tiny|2b OUT.gguf [--seed N] [--words N] [--questions OUT.txt]");
    process.exit(2);
  }
  const options = { size, seed: Number(values.seed), words: Number(values.words) } satisfies SyntheticModelOptions;
  const { questions } = await writeSyntheticModel(path, options);
  if (values.questions !== undefined) {
    await writeFile(values.questions, questions.map(({ prompt, answer }) => `${prompt}\t${answer}\n`).join(""));
  }
}
