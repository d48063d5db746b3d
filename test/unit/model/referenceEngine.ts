/**
 * BitNet b1.58 in plain arithmetic, as bitnet.cpp's and ik_llama.cpp's graphs (`build_bitnet_158`) have it, and the
 * architectures llama and qwen3 (`build_llama`, `build_qwen3`), to know what a tiny generated model says without an
 * engine. It reads the very bytes of the file. One sequence.
 */
import { readFileSync } from "node:fs";
import { gguf } from "@huggingface/gguf";
import { matrixOf } from "./weightTypes.ts";

/**
 * What the model answers to a prompt, greedily.
 * @param limit tokens after which it stops
 */
export async function answerOf(path: string, prompt: string, limit: number): Promise<string> {
  const model = await load(path);
  const { vocabulary } = model;
  const end = vocabulary.length - 1;
  const input = [vocabulary.length - 3, ...Buffer.from(`User: ${prompt}`), end, ...Buffer.from("Assistant: ")];
  const cache = emptyCache(model);
  let next = likeliest(logitsAfter(model, cache, input));
  const said: string[] = [];
  while (next !== end && said.length < limit) {
    said.push(vocabulary[next] ?? "");
    next = likeliest(logitsAfter(model, cache, [next]));
  }
  return said.join("").replaceAll("Ġ", " ");
}

/**
 * For each token of the vocabulary the natural logarithm of the probability that it comes next.
 * @param tokens what comes before: at least one. Nothing is put in front; a beginning-of-text token is yours to name.
 */
export async function logProbabilitiesOf(path: string, tokens: readonly number[]): Promise<Float64Array> {
  const model = await load(path);
  return logProbabilities(logitsAfter(model, emptyCache(model), tokens));
}

/**
 * How surprising a text is, from 1 up: e to the power of what its tokens' log-probabilities come to on average, negated.
 * @param tokens the first is given, and the others are expected one by one
 */
export async function perplexityOf(path: string, tokens: readonly number[]): Promise<number> {
  const model = await load(path);
  const cache = emptyCache(model);
  const expected = tokens.slice(0, -1).map((token) => logProbabilities(logitsAfter(model, cache, [token])));
  const sum = expected.reduce((total, next, at) => total + (next[tokens[at + 1] ?? NaN] ?? NaN), 0);
  return Math.exp(-sum / expected.length);
}

function logProbabilities(logits: Float64Array): Float64Array {
  const most = Math.max(...logits);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0);
  return logits.map((logit) => logit - most - Math.log(sum));
}

/** The token that has the largest of these numbers; the first, if there are several. */
function likeliest(numbers: Float64Array): number {
  return numbers.indexOf(Math.max(...numbers));
}

interface Cache {
  keys: Float64Array[];
  values: Float64Array[];
}

type Model = Awaited<ReturnType<typeof load>>;

async function load(path: string) {
  const { metadata, tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
  const meta = new Map<string, unknown>(Object.entries(metadata));
  const bytes = readFileSync(path);
  const architecture = String(meta.get("general.architecture"));
  const number = (key: string) => Number(meta.get(`${architecture}.${key}`));
  const matrix = (name: string): Float64Array[] => {
    const info = tensorInfos.find((tensor) => tensor.name === `${name}.weight`);
    if (info === undefined) throw new RangeError(`the model has no tensor ${name}`);
    const [columns = 0, rows = 1] = info.shape.map(Number);
    const at = bytes.byteOffset + Number(tensorDataOffset + info.offset);
    return matrixOf({ type: info.dtype, columns, rows, bytes: new DataView(bytes.buffer, at) });
  };
  const kept = remembered(matrix);
  return {
    vocabulary: meta.get("tokenizer.ggml.tokens") as string[],
    layers: number("block_count"),
    width: number("embedding_length"),
    heads: number("attention.head_count"),
    kvHeads: number("attention.head_count_kv"),
    epsilon: number("attention.layer_norm_rms_epsilon"),
    ropeBase: number("rope.freq_base"),
    /** BitNet's own: norms within attention and feed-forward block, activations of 8 bits, squared ReLU. */
    bitnet: architecture.startsWith("bitnet"),
    /** Each head's queries and keys have a norm. */
    headNorms: architecture === "qwen3",
    /** The rotary embedding pairs a head's dimension with its neighbour; otherwise with the one half a head away. */
    neighbours: architecture === "llama",
    yarn: { factor: number("rope.scaling.factor"), context: number("rope.scaling.original_context_length") },
    matrix: kept,
    norm: (name: string) => kept(name)[0] ?? new Float64Array(),
    embeddings: kept("token_embd"),
  };
}

/** Each is made when it is first asked for, and kept. */
function remembered<T>(make: (name: string) => T): (name: string) => T {
  const made = new Map<string, T>();
  return (name) => {
    const value = made.get(name) ?? make(name);
    made.set(name, value);
    return value;
  };
}

/** One cache for each layer. */
function emptyCache({ layers }: Model): Cache[] {
  return Array.from({ length: layers }, () => ({ keys: [], values: [] }));
}

/** Computes tokens, and how much speaks for each of the vocabulary as the next. */
function logitsAfter(model: Model, cache: Cache[], tokens: readonly number[]): Float64Array {
  let state = new Float64Array(model.width);
  for (const token of tokens) state = step(model, cache, token);
  // The output matrix is the embedding's.
  return Float64Array.from(model.embeddings, (embedding) => dot(embedding, state));
}

/** Computes one token: the state that the output matrix is multiplied with. */
function step(model: Model, cache: Cache[], token: number): Float64Array<ArrayBuffer> {
  const normalised = (name: string, x: Float64Array) => normalise(x, model.norm(name), model.epsilon);
  const x = Float64Array.from(model.embeddings[token] ?? []);
  if (x.length === 0) throw new RangeError(`the model has no token ${token}`);
  cache.forEach((ofLayer, layer) => {
    const name = (part: string) => `blk.${layer}.${part}`;
    const by = (part: string, input: Float64Array) => multiply(model, name(part), input);
    const sub = (part: string, input: Float64Array) => (model.bitnet ? normalised(name(part), input) : input);
    const a = normalised(name("attn_norm"), x);
    const placed = (part: "q" | "k") => {
      const heads = model.headNorms
        ? normaliseHeads(model, name(`attn_${part}_norm`), by(`attn_${part}`, a))
        : undefined;
      return rotated(model, heads ?? by(`attn_${part}`, a), ofLayer.values.length);
    };
    const query = placed("q");
    ofLayer.keys.push(placed("k"));
    ofLayer.values.push(by("attn_v", a));
    add(x, by("attn_output", sub("attn_sub_norm", attend(model, ofLayer, query))));
    const f = normalised(name("ffn_norm"), x);
    const up = by("ffn_up", f);
    const gated = (gate: number) => (model.bitnet ? Math.max(0, gate) ** 2 : gate / (1 + Math.exp(-gate)));
    const units = by("ffn_gate", f).map((gate, unit) => gated(gate) * (up[unit] ?? 0));
    add(x, by("ffn_down", sub("ffn_sub_norm", units)));
  });
  return normalised("output_norm", x);
}

function attend({ width, heads, kvHeads }: Model, { keys, values }: Cache, query: Float64Array): Float64Array {
  const headWidth = width / heads;
  const attended = new Float64Array(width);
  for (let head = 0; head < heads; head++) {
    const [q, kv] = [head * headWidth, Math.floor((head * kvHeads) / heads) * headWidth];
    const ofQuery = query.subarray(q, q + headWidth);
    const scores = keys.map((key) => dot(ofQuery, key.subarray(kv, kv + headWidth)) / Math.sqrt(headWidth));
    const most = Math.max(...scores);
    const shares = scores.map((score) => Math.exp(score - most));
    const all = shares.reduce((sum, share) => sum + share);
    values.forEach((value, at) => {
      const share = (shares[at] ?? 0) / all;
      for (let i = 0; i < headWidth; i++) attended[q + i] = (attended[q + i] ?? 0) + share * (value[kv + i] ?? 0);
    });
  }
  return attended;
}

function normaliseHeads(model: Model, name: string, x: Float64Array): Float64Array {
  const headWidth = model.width / model.heads;
  const norm = model.norm(name);
  const heads = Array.from({ length: x.length / headWidth }, (_, head) =>
    normalise(x.subarray(head * headWidth, (head + 1) * headWidth), norm, model.epsilon),
  );
  return Float64Array.from(heads.flatMap((head) => [...head]));
}

function add(x: Float64Array, y: Float64Array): void {
  y.forEach((value, i) => (x[i] = (x[i] ?? 0) + value));
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] ?? 0) * (y[i] ?? 0);
  return sum;
}

function normalise(x: Float64Array, weights: Float64Array, epsilon: number): Float64Array<ArrayBuffer> {
  const length = Math.sqrt(dot(x, x) / x.length + epsilon);
  return Float64Array.from(x, (value, i) => (value / length) * (weights[i] ?? 0));
}

/** In a BitLinear layer activations have 8 bits, scaled by their largest. */
function multiply({ bitnet, matrix }: Model, name: string, input: Float64Array): Float64Array {
  const largest = input.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-5);
  const activations = bitnet ? input.map((value) => Math.round((value * 127) / largest)) : input;
  const unit = bitnet ? largest / 127 : 1;
  return Float64Array.from(matrix(name), (row) => dot(row, activations) * unit);
}

/** Rotary position embedding. */
function rotated(model: Model, x: Float64Array, position: number): Float64Array {
  const { width, heads, neighbours } = model;
  const headWidth = width / heads;
  const half = headWidth / 2;
  const { angles, length } = rotation(model, headWidth);
  return x.map((value, at) => {
    const i = at % headWidth;
    const angle = position * (angles[neighbours ? i >> 1 : i % half] ?? 0);
    const first = neighbours ? i % 2 === 0 : i < half;
    const distance = neighbours ? 1 : half;
    const other = x[first ? at + distance : at - distance] ?? 0;
    return (value * Math.cos(angle) + (first ? -other : other) * Math.sin(angle)) * length;
  });
}

/**
 * The angle between two positions for each pair of a head's dimensions, and what the rotation lengthens a vector by. YaRN
 * (arxiv.org/abs/2309.00071; ggml's rope_yarn, with 32 and 1 rotations) slows down the pairs that turn slowly.
 */
function rotation({ ropeBase, yarn }: Model, headWidth: number): { angles: number[]; length: number } {
  const plain = Array.from({ length: headWidth / 2 }, (_, pair) => ropeBase ** ((-2 * pair) / headWidth));
  if (Number.isNaN(yarn.factor)) return { angles: plain, length: 1 };
  const pairThatTurns = (times: number) =>
    (headWidth * Math.log(yarn.context / (times * 2 * Math.PI))) / (2 * Math.log(ropeBase));
  const [from, to] = [Math.max(0, Math.floor(pairThatTurns(32))), Math.min(headWidth - 1, Math.ceil(pairThatTurns(1)))];
  const slowed = (pair: number) => Math.min(1, Math.max(0, (pair - from) / Math.max(0.001, to - from)));
  const angles = plain.map((angle, pair) => angle * (1 - slowed(pair)) + (angle / yarn.factor) * slowed(pair));
  return { angles, length: 1 + 0.1 * Math.log(yarn.factor) };
}
