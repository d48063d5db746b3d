import { readFileSync } from "node:fs";
import { gguf } from "@huggingface/gguf";

/**
 * BitNet b1.58 in plain arithmetic, as bitnet.cpp's and ik_llama.cpp's graphs (`build_bitnet_158`) have it, to know what
 * a tiny generated model says without an engine. It reads the very bytes of the file. Greedy; one sequence.
 * @param limit tokens after which it stops
 */
export async function answerOf(path: string, prompt: string, limit: number): Promise<string> {
  const model = await load(path);
  const { vocabulary } = model;
  const end = vocabulary.length - 1;
  const input = [vocabulary.length - 3, ...Buffer.from(`User: ${prompt}`), end, ...Buffer.from("Assistant: ")];
  const cache = Array.from({ length: model.layers }, () => ({ keys: [], values: [] }) satisfies Cache);
  let next = 0;
  for (const token of input) next = step(model, cache, token);
  const said: string[] = [];
  while (next !== end && said.length < limit) {
    said.push(vocabulary[next] ?? "");
    next = step(model, cache, next);
  }
  return said.join("").replaceAll("Ġ", " ");
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
  const number = (key: string) => Number(meta.get(`bitnet-b1.58.${key}`));
  const find = (name: string) => {
    const info = tensorInfos.find((tensor) => tensor.name === `${name}.weight`);
    const [columns = 0, rows = 1] = (info?.shape ?? []).map(Number);
    return { columns, rows, at: Number(tensorDataOffset + (info?.offset ?? 0n)) };
  };
  const matrices = new Map<string, Matrix>();
  const matrix = (name: string): Matrix => {
    const known = matrices.get(name);
    if (known !== undefined) return known;
    const { columns, rows, at } = find(name);
    const weightAt = (weight: number) => {
      const byte = bytes[at + (weight >> 7) * 32 + (weight & 31)] ?? 0;
      return ((byte >> (6 - 2 * ((weight & 127) >> 5))) & 3) - 1;
    };
    const read: Matrix = { rows: [], scale: bytes.readFloatLE(at + (rows * columns) / 4) };
    for (let row = 0; row < rows; row++) {
      const [plus, minus]: [number[], number[]] = [[], []];
      for (let column = 0; column < columns; column++) {
        const weight = weightAt(row * columns + column);
        if (weight !== 0) (weight > 0 ? plus : minus).push(column);
      }
      read.rows.push({ plus, minus });
    }
    matrices.set(name, read);
    return read;
  };
  const embedding = find("token_embd");
  // F16 rows that are zero but for one 1 (0x3c00).
  const states = Array.from({ length: embedding.rows }, (_, row) => {
    const start = embedding.at + row * embedding.columns * 2;
    return bytes.subarray(start, start + embedding.columns * 2).indexOf(0x3c) >> 1;
  });
  return {
    vocabulary: meta.get("tokenizer.ggml.tokens") as string[],
    layers: number("block_count"),
    width: number("embedding_length"),
    heads: number("attention.head_count"),
    kvHeads: number("attention.head_count_kv"),
    ropeBase: number("rope.freq_base"),
    matrix,
    states,
  };
}

/** Computes one token and returns the most likely next one. */
function step(model: Model, cache: Cache[], token: number): number {
  const { width, heads, kvHeads, matrix, states } = model;
  const headWidth = width / heads;
  const x = new Float64Array(width);
  x[states[token] ?? 0] = 1;
  cache.forEach(({ keys, values }, layer) => {
    const by = (part: string, input: Float64Array) => multiply(matrix(`blk.${layer}.${part}`), input);
    const a = normalised(x);
    const query = rotated(by("attn_q", a), keys.length, headWidth, model.ropeBase);
    keys.push(rotated(by("attn_k", a), keys.length, headWidth, model.ropeBase));
    values.push(by("attn_v", a));
    const attended = new Float64Array(width);
    for (let head = 0; head < heads; head++) {
      const [q, kv] = [head * headWidth, Math.floor((head * kvHeads) / heads) * headWidth];
      const scores = keys.map((key) => {
        let sum = 0;
        for (let i = 0; i < headWidth; i++) sum += (query[q + i] ?? 0) * (key[kv + i] ?? 0);
        return sum / Math.sqrt(headWidth);
      });
      const most = Math.max(...scores);
      const shares = scores.map((score) => Math.exp(score - most));
      const all = shares.reduce((sum, share) => sum + share);
      values.forEach((value, at) => {
        const share = (shares[at] ?? 0) / all;
        for (let i = 0; i < headWidth; i++) attended[q + i] = (attended[q + i] ?? 0) + share * (value[kv + i] ?? 0);
      });
    }
    add(x, by("attn_output", normalised(attended)));
    const f = normalised(x);
    const up = by("ffn_up", f);
    const units = by("ffn_gate", f).map((gate, unit) => Math.max(0, gate) ** 2 * (up[unit] ?? 0));
    add(x, by("ffn_down", normalised(units)));
  });
  const logits = states.map((state) => x[state] ?? 0);
  return logits.indexOf(Math.max(...logits));
}

function add(x: Float64Array, y: Float64Array): void {
  y.forEach((value, i) => (x[i] = (x[i] ?? 0) + value));
}

function normalised(x: Float64Array): Float64Array {
  const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return x.map((value) => value / Math.sqrt(meanSquare + 1e-5));
}

/** A BitLinear layer: activations of 8 bits, scaled by their largest. */
function multiply({ rows, scale }: Matrix, input: Float64Array): Float64Array {
  const largest = input.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-5);
  const activations = Int32Array.from(input, (value) => Math.round((value * 127) / largest));
  const sum = (columns: number[]) => columns.reduce((total, column) => total + (activations[column] ?? 0), 0);
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
