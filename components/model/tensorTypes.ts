/** How one tensor's weights are stored. */
interface Layout {
  name: string;
  /** Weights per block, and bytes per block. */
  block: number;
  bytes: number;
  /** Bytes per row in addition to its blocks. */
  perRow?: number;
  /** Bytes of the tensor in addition to its rows. */
  perTensor?: number;
}

/**
 * ggml's tensor types by number. Sizes: ggml-common.h of llama.cpp; I2_S and TL1: ggml.h of the llama.cpp that
 * microsoft/BitNet uses, which has TL2 where today's files have MXFP4 (39); the BN types: ggml.h, ggml-common.h and
 * ggml.c of ik_llama.cpp; PQ2_0 and PTQ1_0, which PrismML's fork alone has: github.com/ggml-org/llama.cpp/issues/29058
 * and github.com/NousResearch/hermes-agent/issues/119194. TL1 has no size, as it depends on the model. Q2_0 has
 * llama.cpp's; older files of PrismML's have another layout under the same number.
 */
const LAYOUTS: ReadonlyMap<number, Layout> = new Map([
  [0, { name: "F32", block: 1, bytes: 4 }],
  [1, { name: "F16", block: 1, bytes: 2 }],
  [2, { name: "Q4_0", block: 32, bytes: 18 }],
  [3, { name: "Q4_1", block: 32, bytes: 20 }],
  [6, { name: "Q5_0", block: 32, bytes: 22 }],
  [7, { name: "Q5_1", block: 32, bytes: 24 }],
  [8, { name: "Q8_0", block: 32, bytes: 34 }],
  [10, { name: "Q2_K", block: 256, bytes: 84 }],
  [11, { name: "Q3_K", block: 256, bytes: 110 }],
  [12, { name: "Q4_K", block: 256, bytes: 144 }],
  [13, { name: "Q5_K", block: 256, bytes: 176 }],
  [14, { name: "Q6_K", block: 256, bytes: 210 }],
  [16, { name: "IQ2_XXS", block: 256, bytes: 66 }],
  [17, { name: "IQ2_XS", block: 256, bytes: 74 }],
  [18, { name: "IQ3_XXS", block: 256, bytes: 98 }],
  [19, { name: "IQ1_S", block: 256, bytes: 50 }],
  [20, { name: "IQ4_NL", block: 32, bytes: 18 }],
  [21, { name: "IQ3_S", block: 256, bytes: 110 }],
  [22, { name: "IQ2_S", block: 256, bytes: 82 }],
  [23, { name: "IQ4_XS", block: 256, bytes: 136 }],
  [29, { name: "IQ1_M", block: 256, bytes: 56 }],
  [30, { name: "BF16", block: 1, bytes: 2 }],
  [34, { name: "TQ1_0", block: 256, bytes: 54 }],
  [35, { name: "TQ2_0", block: 256, bytes: 66 }],
  [36, { name: "I2_S", block: 4, bytes: 1, perTensor: 32 }],
  [38, { name: "TL1", block: 1, bytes: 0 }],
  [39, { name: "MXFP4", block: 32, bytes: 17 }],
  [40, { name: "NVFP4", block: 64, bytes: 36 }],
  [41, { name: "Q1_0", block: 128, bytes: 18 }],
  [42, { name: "Q2_0", block: 64, bytes: 18 }],
  [134, { name: "IQ1_BN", block: 64, bytes: 13, perRow: 2 }],
  [135, { name: "IQ2_BN", block: 64, bytes: 16, perRow: 4 }],
  [142, { name: "PQ2_0", block: 128, bytes: 34 }],
  [143, { name: "PTQ1_0", block: 128, bytes: 28 }],
]);

const BY_NAME: ReadonlyMap<string, Layout> = new Map([...LAYOUTS.values()].map((layout) => [layout.name, layout]));

/** A type's name, or "type <number>" if it is unknown here. */
export function tensorTypeName(number: number): string {
  return LAYOUTS.get(number)?.name ?? `type ${number}`;
}

/**
 * The size of a tensor in a file and in memory, in bytes; 0 if the size of its type is unknown here.
 * @param dims as in a GGUF: the length of a row first
 */
export function tensorBytes(type: string, dims: readonly number[]): number {
  const layout = BY_NAME.get(type);
  if (layout === undefined) return 0;
  const [rowLength = 1, ...others] = dims;
  const rows = others.reduce((product, dim) => product * dim, 1);
  const { block, bytes, perRow = 0, perTensor = 0 } = layout;
  return rows * (Math.ceil(rowLength / block) * bytes + perRow) + perTensor;
}
