/**
 * Writes GGUF files, for generated models. The container's format is the GGUF specification's (github.com/ggml-org/ggml,
 * docs/gguf.md); the sizes of the tensors' types are those of ggml-common.h of llama.cpp and ik_llama.cpp.
 */
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";

export type TensorType = "F32" | "F16" | "Q4_K" | "TQ1_0" | "TQ2_0" | "I2_S" | "Q1_0" | "IQ2_BN";

/** ggml_type in ggml.h: I2_S as in Microsoft's fork of it, IQ2_BN as in ik_llama.cpp's. */
const TYPE_NUMBERS: Readonly<Record<TensorType, number>> = {
  F32: 0,
  F16: 1,
  Q4_K: 12,
  TQ1_0: 34,
  TQ2_0: 35,
  I2_S: 36,
  Q1_0: 41,
  IQ2_BN: 135,
};

/** The scale, and what pads it to 32 bytes, behind an I2_S tensor's weights. */
export const I2_S_TAIL = 32;
/** The float32 scale in front of each of an IQ2_BN tensor's rows. */
export const IQ2_BN_SCALE = 4;
export const ALIGNMENT = 32;

export interface Tensor {
  name: string;
  /** As in the file: the length of a row first. */
  dims: number[];
  type: TensorType;
  content: () => Iterable<Uint8Array>;
}

export type Value =
  | { uint32: number }
  | { float32: number }
  | { bool: boolean }
  | { text: string }
  | { texts: string[] }
  | { int32s: number[] };

/** Tensor by tensor: no more than a few MB of the file are ever in memory. */
export async function writeGguf(
  path: string,
  metadata: Readonly<Record<string, Value>>,
  tensors: readonly Tensor[],
): Promise<void> {
  await pipeline(fileContent(ggufHeader(metadata, tensors), tensors), createWriteStream(path));
}

/** All that comes before the first tensor's data. */
export function ggufHeader(metadata: Readonly<Record<string, Value>>, tensors: readonly Tensor[]): Buffer {
  const pairs = Object.entries(metadata);
  const parts = [Buffer.from("GGUF"), uint32(3), uint64(tensors.length), uint64(pairs.length)];
  for (const [key, value] of pairs) parts.push(text(key), encoded(value));
  let offset = 0;
  for (const { name, dims, type } of tensors) {
    parts.push(text(name), uint32(dims.length), ...dims.map(uint64), uint32(TYPE_NUMBERS[type]), uint64(offset));
    offset += padded(byteLength(type, dims));
  }
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes], padded(bytes.length));
}

export function byteLength(type: TensorType, dims: readonly number[]): number {
  const weights = dims.reduce((product, dim) => product * dim, 1);
  switch (type) {
    case "F32":
      return weights * 4;
    case "F16":
      return weights * 2;
    case "Q4_K":
      return (weights / 256) * 144;
    case "TQ1_0":
      return (weights / 256) * 54;
    case "TQ2_0":
      return (weights / 256) * 66;
    case "I2_S":
      return weights / 4 + I2_S_TAIL;
    case "Q1_0":
      return (weights / 128) * 18;
    case "IQ2_BN":
      return weights / 4 + (weights / (dims[0] ?? 1)) * IQ2_BN_SCALE;
  }
}

/** To a multiple of {@link ALIGNMENT}. */
export const padded = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

function* fileContent(head: Uint8Array, tensors: readonly Tensor[]): Generator<Uint8Array> {
  yield head;
  for (const { type, dims, content } of tensors) {
    yield* content();
    const length = byteLength(type, dims);
    yield Buffer.alloc(padded(length) - length);
  }
}

/** A metadata value behind the number of its type, gguf_metadata_value_type in the specification. */
function encoded(value: Value): Buffer {
  if ("uint32" in value) return Buffer.concat([uint32(4), uint32(value.uint32)]);
  if ("float32" in value) return Buffer.concat([uint32(6), float32(value.float32)]);
  if ("bool" in value) return Buffer.concat([uint32(7), Buffer.of(value.bool ? 1 : 0)]);
  if ("text" in value) return Buffer.concat([uint32(8), text(value.text)]);
  if ("texts" in value) {
    return Buffer.concat([uint32(9), uint32(8), uint64(value.texts.length), ...value.texts.map(text)]);
  }
  return Buffer.concat([uint32(9), uint32(5), uint64(value.int32s.length), ...value.int32s.map(uint32)]);
}

/** As GGUF has it: four bytes, the least first. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** As GGUF has it: eight bytes, the least first. */
export function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}
