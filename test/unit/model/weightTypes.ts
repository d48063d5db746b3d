/** How weights lie in a file, read as each format's own `dequantize_row_…` does (ggml-quants.c, iqk_quantize.cpp). */

/** A matrix's bytes, from its first on. */
export interface Stored {
  type: number;
  bytes: DataView;
  columns: number;
  rows: number;
}

/** The rows of a matrix, as numbers. */
export function matrixOf(stored: Stored): Float64Array[] {
  const read = readers[stored.type];
  if (read === undefined) throw new RangeError(`the reference engine does not read tensors of type ${stored.type}`);
  const weight = read(stored);
  return Array.from({ length: stored.rows }, (_, row) =>
    Float64Array.from({ length: stored.columns }, (_, column) => weight(row, column)),
  );
}

type Reader = (stored: Stored) => (row: number, column: number) => number;

/** By ggml's number. */
const readers: Readonly<Record<number, Reader>> = {
  0:
    ({ bytes, columns }) =>
    (row, column) =>
      bytes.getFloat32((row * columns + column) * 4, true),
  1:
    ({ bytes, columns }) =>
    (row, column) =>
      bytes.getFloat16((row * columns + column) * 2, true),
  34: inBlocks(256, 54, tq1Weight),
  35: inBlocks(256, 66, (bytes, at, i) => {
    const two = bytes.getUint8(at + (i >> 7) * 32 + (i & 31)) >> (2 * ((i & 127) >> 5));
    return ((two & 3) - 1) * bytes.getFloat16(at + 64, true);
  }),
  36: ({ bytes, columns, rows }) => {
    const scale = bytes.getFloat32((rows * columns) / 4, true);
    return (row, column) => {
      const weight = row * columns + column;
      const byte = bytes.getUint8((weight >> 7) * 32 + (weight & 31));
      return (((byte >> (6 - 2 * ((weight & 127) >> 5))) & 3) - 1) * scale;
    };
  },
  41: inBlocks(128, 18, (bytes, at, i) => {
    const bit = (bytes.getUint8(at + 2 + (i >> 3)) >> (i & 7)) & 1;
    return (bit === 1 ? 1 : -1) * bytes.getFloat16(at, true);
  }),
  135: ({ bytes, columns }) => {
    const rowBytes = 4 + columns / 4;
    return (row, column) => {
      const byte = bytes.getUint8(row * rowBytes + 4 + (column >> 6) * 16 + (column & 15));
      return (((byte >> (2 * ((column & 63) >> 4))) & 3) - 1) * bytes.getFloat32(row * rowBytes, true);
    };
  },
};

function inBlocks(weights: number, size: number, weightOf: (bytes: DataView, at: number, i: number) => number): Reader {
  return ({ bytes, columns }) =>
    (row, column) => {
      const weight = row * columns + column;
      return weightOf(bytes, Math.floor(weight / weights) * size, weight % weights);
    };
}

/** Five to a byte: 160 weights in 32 bytes, 80 in 16; four to a byte: 16 weights in 4. The digit is the byte's, base 3. */
function tq1Weight(bytes: DataView, at: number, i: number): number {
  const [byte, digit] =
    i < 160
      ? [i % 32, Math.floor(i / 32)]
      : i < 240
        ? [32 + ((i - 160) % 16), Math.floor((i - 160) / 16)]
        : [48 + ((i - 240) % 4), Math.floor((i - 240) / 4)];
  const shifted = (bytes.getUint8(at + byte) * 3 ** digit) & 0xff;
  return (((shifted * 3) >> 8) - 1) * bytes.getFloat16(at + 52, true);
}
