/**
 * What stands in the tensors of a generated model, as bytes. I2_S was read from `quantize_i2_s` in microsoft/BitNet,
 * src/ggml-bitnet-mad.cpp, and checked with bitnet.cpp and ik_llama.cpp.
 */
import { I2_S_TAIL } from "./gguf.ts";

/** Four weights of 0 each: 01 01 01 01. */
export const I2_S_ZEROS = 0b01010101;
/** What four weights can be: every byte without a pair of bits that is 3, which stands for no weight. */
const I2_S_BYTES = [...Array(256).keys()].filter((byte) => (byte & (byte >>> 1) & 0b01010101) === 0);
const CHUNK = 4 << 20;

/** A ternary matrix that is zero but for some weights of +1, each named by its row and column. */
export interface Ternary {
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

export function* zeros(length: number): Generator<Uint8Array> {
  for (let done = 0; done < length; done += CHUNK) yield Buffer.alloc(Math.min(CHUNK, length - done));
}

/** An F16 matrix whose rows are zero but for one 1. */
export function* oneHot(column: (row: number) => number, columns: number, rows: number): Generator<Uint8Array> {
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
export function* packed({ ones, scale }: Ternary, columns: number, rows: number): Generator<Uint8Array> {
  const bytes = Buffer.alloc((columns * rows) / 4, I2_S_ZEROS);
  for (const [row, column] of ones) {
    const weight = row * columns + column;
    const at = (weight >> 7) * 32 + (weight & 31);
    bytes[at] = (bytes[at] ?? 0) + (1 << (6 - 2 * ((weight & 127) >> 5)));
  }
  yield bytes;
  yield scaleTail(scale);
}

/** The same, of a matrix whose weights are all given, each -1, 0 or +1. */
export function packedWhole(weights: Int8Array, scale: number): Uint8Array[] {
  const bytes = Buffer.alloc(weights.length / 4);
  weights.forEach((value, weight) => {
    const at = (weight >> 7) * 32 + (weight & 31);
    bytes[at] = (bytes[at] ?? 0) + ((value + 1) << (6 - 2 * ((weight & 127) >> 5)));
  });
  return [bytes, scaleTail(scale)];
}

/** So many bytes, drawn four at a time. */
function* drawn(length: number, fourBytes: () => number): Generator<Uint8Array> {
  for (let done = 0; done < length; done += CHUNK) {
    const chunk = new Uint32Array(Math.min(CHUNK, length - done) / 4);
    for (let i = 0; i < chunk.length; i++) chunk[i] = fourBytes();
    yield new Uint8Array(chunk.buffer);
  }
}

export function* packedNoise(next: () => number, columns: number, rows: number): Generator<Uint8Array> {
  yield* drawn((columns * rows) / 4, () => {
    // 3 stands for no weight: of each pair of bits that would be 3, the low bit goes.
    const bits = next();
    return bits & ~((bits >>> 1) & 0x55555555);
  });
  yield scaleTail(1e-3 / Math.sqrt(columns));
}

/** A third each of −1, 0 and +1; what comes out of the matrix is about as large as what goes in. */
export function* packedThirds(next: () => number, columns: number, rows: number): Generator<Uint8Array> {
  const byte = () => I2_S_BYTES[next() % I2_S_BYTES.length] ?? I2_S_ZEROS;
  yield* drawn((columns * rows) / 4, () => byte() | (byte() << 8) | (byte() << 16) | (byte() << 24));
  yield scaleTail(1 / Math.sqrt((2 / 3) * columns));
}

/** F16 numbers of either sign between 1/128 and 1/8: all bits are drawn but the high three of the exponent. */
export function drawnHalves(next: () => number, count: number): Generator<Uint8Array> {
  return drawn(count * 2, () => 0x20002000 | (next() & 0x8fff8fff));
}
