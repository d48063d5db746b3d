/**
 * BitNet b1.58 in plain arithmetic, as bitnet.cpp's and ik_llama.cpp's graphs (`build_bitnet_158`) have it, to know what
 * a tiny generated model says without an engine. It reads the very bytes of the file. One sequence.
 */
import { readFileSync } from "node:fs";
import { gguf } from "@huggingface/gguf";

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
  const logits = logitsAfter(model, emptyCache(model), tokens);
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

/** A ternary matrix: for each row, the columns with a weight of +1 and those with −1. */
interface Matrix {
  rows: { plus: number[]; minus: number[] }[];
  scale: number;
}

type Model = Awaited<ReturnType<typeof load>>;

async function load(path: string) {
  const { metadata, tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
  const meta = new Map<string, unknown>(Object.entries(metadata));
  const bytes = readFileSync(path);
  const data = new DataView(bytes.buffer, bytes.byteOffset);
  const number = (key: string) => Number(meta.get(`bitnet-b1.58.${key}`));
  const find = (name: string) => {
    const info = tensorInfos.find((tensor) => tensor.name === `${name}.weight`);
    const [columns = 0, rows = 1] = (info?.shape ?? []).map(Number);
    return { columns, rows, at: Number(tensorDataOffset + (info?.offset ?? 0n)) };
  };
  const matrix = (name: string): Matrix => {
    const { columns, rows, at } = find(name);
    const weightAt = (weight: number) => {
      const byte = bytes[at + (weight >> 7) * 32 + (weight & 31)] ?? 0;
      return ((byte >> (6 - 2 * ((weight & 127) >> 5))) & 3) - 1;
    };
    const read: Matrix = { rows: [], scale: data.getFloat32(at + (rows * columns) / 4, true) };
    for (let row = 0; row < rows; row++) {
      const [plus, minus]: [number[], number[]] = [[], []];
      for (let column = 0; column < columns; column++) {
        const weight = weightAt(row * columns + column);
        if (weight !== 0) (weight > 0 ? plus : minus).push(column);
      }
      read.rows.push({ plus, minus });
    }
    return read;
  };
  const norm = (name: string): Float64Array => {
    const { columns, at } = find(name);
    return Float64Array.from({ length: columns }, (_, column) => data.getFloat32(at + column * 4, true));
  };
  const embedding = find("token_embd");
  const embeddingOf = (token: number): Float64Array => {
    const at = embedding.at + token * embedding.columns * 2;
    return Float64Array.from({ length: embedding.columns }, (_, column) => data.getFloat16(at + column * 2, true));
  };
  return {
    vocabulary: meta.get("tokenizer.ggml.tokens") as string[],
    layers: number("block_count"),
    width: number("embedding_length"),
    heads: number("attention.head_count"),
    kvHeads: number("attention.head_count_kv"),
    epsilon: number("attention.layer_norm_rms_epsilon"),
    ropeBase: number("rope.freq_base"),
    matrix: remembered(matrix),
    norm: remembered(norm),
    embeddings: Array.from({ length: embedding.rows }, (_, token) => embeddingOf(token)),
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
  const { width, heads, kvHeads } = model;
  const headWidth = width / heads;
  const normalised = (name: string, x: Float64Array) => normalise(x, model.norm(name), model.epsilon);
  const x = Float64Array.from(model.embeddings[token] ?? []);
  if (x.length === 0) throw new RangeError(`the model has no token ${token}`);
  cache.forEach(({ keys, values }, layer) => {
    const name = (part: string) => `blk.${layer}.${part}`;
    const by = (part: string, input: Float64Array) => multiply(model.matrix(name(part)), input);
    const a = normalised(name("attn_norm"), x);
    const query = rotated(by("attn_q", a), keys.length, headWidth, model.ropeBase);
    keys.push(rotated(by("attn_k", a), keys.length, headWidth, model.ropeBase));
    values.push(by("attn_v", a));
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
    add(x, by("attn_output", normalised(name("attn_sub_norm"), attended)));
    const f = normalised(name("ffn_norm"), x);
    const up = by("ffn_up", f);
    const units = by("ffn_gate", f).map((gate, unit) => Math.max(0, gate) ** 2 * (up[unit] ?? 0));
    add(x, by("ffn_down", normalised(name("ffn_sub_norm"), units)));
  });
  return normalised("output_norm", x);
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

/** A BitLinear layer: activations of 8 bits, scaled by their largest. */
function multiply({ rows, scale }: Matrix, input: Float64Array): Float64Array {
  const largest = input.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-5);
  const activations = Int32Array.from(input, (value) => Math.round((value * 127) / largest));
  const sum = (columns: number[]) => {
    let total = 0;
    for (const column of columns) total += activations[column] ?? 0;
    return total;
  };
  return Float64Array.from(rows, ({ plus, minus }) => ((sum(plus) - sum(minus)) * scale * largest) / 127);
}

/** Rotary position embedding, the kind that pairs dimension i of a head with i + half. */
function rotated(x: Float64Array, position: number, headWidth: number, base: number): Float64Array {
  const half = headWidth / 2;
  return x.map((value, at) => {
    const i = at % headWidth;
    const angle = position * base ** (-(i % half) / half);
    const other = x[i < half ? at + half : at - half] ?? 0;
    return value * Math.cos(angle) + (i < half ? -other : other) * Math.sin(angle);
  });
}
