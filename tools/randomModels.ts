/**
 * Writes random models of the shapes and types in which 1-bit and ternary models are published besides BitNet's own: every
 * weight is drawn from a seed and counts, so an engine's log-probabilities can be compared with plain arithmetic.
 *
 * Layouts: ggml-quants.c of llama.cpp (`quantize_row_tq1_0_ref`, `quantize_row_tq2_0_ref`), iqk_quantize.cpp of
 * ik_llama.cpp (`quantize_one_row_2bn`, `quantize_row_q1_0_g128`).
 */
import type { Tensor, Value } from "./gguf.ts";
import { writeGguf } from "./gguf.ts";
import { SHAPES } from "./answerProgram.ts";
import { random } from "./tensorBytes.ts";
import { metadata } from "./syntheticModel.ts";

/** TriLM and its like are of the architecture llama, with a scale for each row; Bonsai is qwen3, all of it in Q1_0. */
export type RandomModelType = "TQ1_0" | "TQ2_0" | "IQ2_BN" | "Q1_0";

export interface RandomModelsOptions {
  /** The type of the linear layers' weights. */
  type: RandomModelType;
  /** Default: 1. */
  seed?: number;
  /** The name of a linear layer whose weights are all 0, as if it were left out. */
  silent?: string;
  /** Gives the second half of each row of a TQ tensor another scale, as no ternary matrix with one scale a row has. */
  twoScales?: boolean;
}

const shape = SHAPES.tiny;
const HEAD_WIDTH = shape.width / shape.heads;

export async function writeModelOf(path: string, options: RandomModelsOptions): Promise<void> {
  await writeGguf(path, metadataOf(options.type), tensorsOf(options));
}

function metadataOf(type: RandomModelType): Record<string, Value> {
  const architecture = type === "Q1_0" ? "qwen3" : "llama";
  return {
    ...metadata({ architecture, name: `random-${type}` }),
    [`${architecture}.attention.key_length`]: { uint32: HEAD_WIDTH },
    [`${architecture}.attention.value_length`]: { uint32: HEAD_WIDTH },
    ...(type === "Q1_0" ? YARN : {}),
  };
}

/** Bonsai-8B reads four times as much as it was first trained with. */
const YARN: Readonly<Record<string, Value>> = {
  "qwen3.rope.scaling.type": { text: "yarn" },
  "qwen3.rope.scaling.factor": { float32: 4 },
  "qwen3.rope.scaling.original_context_length": { uint32: 1024 },
};

function tensorsOf(options: RandomModelsOptions): Tensor[] {
  const { type } = options;
  const next = random(options.seed ?? 1);
  const { width, feedForward, kvHeads, vocabulary, layers } = shape;
  const linear = (name: string, columns: number, rows: number) => linearOf(options, next, name, [columns, rows]);
  const norm = (name: string, length: number) => normOf(next, name, length);
  const layer = (name: (part: string) => string): Tensor[] => [
    norm(name("attn_norm"), width),
    norm(name("ffn_norm"), width),
    ...(type === "Q1_0" ? [norm(name("attn_q_norm"), HEAD_WIDTH), norm(name("attn_k_norm"), HEAD_WIDTH)] : []),
    linear(name("attn_q"), width, width),
    linear(name("attn_k"), width, kvHeads * HEAD_WIDTH),
    linear(name("attn_v"), width, kvHeads * HEAD_WIDTH),
    linear(name("attn_output"), width, width),
    linear(name("ffn_gate"), width, feedForward),
    linear(name("ffn_up"), width, feedForward),
    linear(name("ffn_down"), feedForward, width),
  ];
  return [
    type === "Q1_0" ? linear("token_embd", width, vocabulary) : embeddingOf(next, [width, vocabulary]),
    norm("output_norm", width),
    ...Array.from({ length: layers }, (_, index) => layer((part) => `blk.${index}.${part}`)).flat(),
  ];
}

type Dims = [columns: number, rows: number];

function linearOf(options: RandomModelsOptions, next: Next, name: string, dims: Dims): Tensor {
  const { type, silent, twoScales = false } = options;
  const [columns, rows] = dims;
  const row: Row = { type, columns, loudness: name === silent ? 0 : 1, twoScales };
  const content = () => [Buffer.concat(Array.from({ length: rows }, () => drawnRow(next, row)))];
  return { name: `${name}.weight`, dims, type, content };
}

function normOf(next: Next, name: string, length: number): Tensor {
  const content = () => [new Uint8Array(Float32Array.from({ length }, () => 0.5 + next() / 2 ** 32).buffer)];
  return { name: `${name}.weight`, dims: [length], type: "F32", content };
}

function embeddingOf(next: Next, dims: Dims): Tensor {
  const content = () => [halves(Array.from({ length: dims[0] * dims[1] }, () => (next() / 2 ** 32 - 0.5) / 4))];
  return { name: "token_embd.weight", dims, type: "F16", content };
}

type Next = () => number;

interface Row {
  type: RandomModelType;
  columns: number;
  /** What its scale is multiplied by. */
  loudness: number;
  twoScales: boolean;
}

/** One row, of a scale of its own, with which what comes out is about as large as what goes in. */
function drawnRow(next: Next, { type, columns, loudness, twoScales }: Row): Buffer {
  const scale = (loudness * (0.75 + next() / 2 ** 33)) / Math.sqrt(columns);
  if (type === "Q1_0") {
    const block = () => Buffer.concat([halves([scale * (0.5 + next() / 2 ** 32)]), drawnBytes(next, 16)]);
    return Buffer.concat(Array.from({ length: columns / 128 }, block));
  }
  const trits = Uint8Array.from({ length: columns }, () => next() % 3);
  if (type === "IQ2_BN") return packedRow(trits, scale);
  const pack = type === "TQ1_0" ? tq1Block : tq2Block;
  const blocks = Array.from({ length: columns / 256 }, (_, index) => {
    const half = twoScales && index >= columns / 512 ? 2 : 1;
    return pack(trits.subarray(index * 256, (index + 1) * 256), scale * half);
  });
  return Buffer.concat(blocks);
}

/** 256 weights, each 0, 1 or 2 for −1, 0, +1: 48 bytes of five weights, four of four, and the scale. */
function tq1Block(trits: Uint8Array, scale: number): Buffer {
  const five = (first: number, distance: number) => [0, 1, 2, 3, 4].map((n) => trits[first + n * distance] ?? 0);
  const bytes = [
    ...Array.from({ length: 32 }, (_, m) => five(m, 32)),
    ...Array.from({ length: 16 }, (_, m) => five(160 + m, 16)),
    ...Array.from({ length: 4 }, (_, m) => [...[0, 1, 2, 3].map((n) => trits[240 + m + n * 4] ?? 0), 0]),
  ].map((digits) => Math.ceil((digits.reduce((number, trit) => number * 3 + trit, 0) * 256) / 243));
  return Buffer.concat([Buffer.from(bytes), halves([scale])]);
}

/** The same in 64 bytes of four weights each, and the scale. */
function tq2Block(trits: Uint8Array, scale: number): Buffer {
  const byte = (at: number) => fourBits(trits, Math.floor(at / 32) * 128 + (at % 32), 32);
  return Buffer.concat([Buffer.from(Array.from({ length: 64 }, (_, at) => byte(at))), halves([scale])]);
}

/** A row of IQ2_BN: its scale, and blocks of 64 weights in 16 bytes. */
function packedRow(trits: Uint8Array, scale: number): Buffer {
  const front = Buffer.alloc(4);
  front.writeFloatLE(scale);
  const byte = (at: number) => fourBits(trits, Math.floor(at / 16) * 64 + (at % 16), 16);
  return Buffer.concat([front, Buffer.from(Array.from({ length: trits.length / 4 }, (_, at) => byte(at)))]);
}

/** Four weights, so far from each other, the first in the lowest bits. */
function fourBits(trits: Uint8Array, first: number, distance: number): number {
  return [0, 1, 2, 3].reduce((byte, n) => byte | ((trits[first + n * distance] ?? 0) << (2 * n)), 0);
}

function halves(numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 2);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  numbers.forEach((number, index) => {
    view.setFloat16(index * 2, number, true);
  });
  return bytes;
}

function drawnBytes(next: Next, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => next() & 0xff));
}
