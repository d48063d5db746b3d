/** The engines that can be compiled into llama-server. */
export const ENGINE_NAMES = ["bitnet.cpp", "ik_llama.cpp"] as const;
export type Engine = (typeof ENGINE_NAMES)[number];

/** The types of one-bit and ternary weights; the numbers are in {@link tensorTypeName}. */
// prettier-ignore
export const TERNARY_TYPES = [
  "I2_S", "TL1", "TQ1_0", "TQ2_0", "Q1_0", "Q2_0", "IQ1_BN", "IQ2_BN", "PQ2_0", "PTQ1_0",
] as const;
export type TernaryType = (typeof TERNARY_TYPES)[number];

const ROTATED = "it is PrismML's own, with rotated weights that only its fork of llama.cpp computes (Ternary-Bonsai-2)";

/** Types that no engine here computes, and why. */
export const UNSUPPORTED_TYPES: Readonly<Partial<Record<TernaryType, string>>> = {
  // microsoft/BitNet's utils/codegen_tl1.py.
  TL1: "its kernels are generated for the matrix sizes of one model, and not compiled in",
  Q2_0: "neither engine has it; Ternary-Bonsai models are published in it",
  PQ2_0: ROTATED,
  PTQ1_0: ROTATED,
};

/** What an engine, as docker/server/Dockerfile builds it, has been shown to do. */
export interface EngineAbilities {
  /**
   * By value of `general.architecture`, the types that it computes rightly, from the file as it is or converted while
   * the image is built.
   */
  types: ReadonlyMap<string, readonly TernaryType[]>;
  /** Types that docker/server/build/convert-model.sh converts to `to`, without loss. */
  converts: { from: readonly TernaryType[]; to: TernaryType } | undefined;
  /** Values of `tokenizer.ggml.pre` that such models have and that it refuses to load. */
  unknownTokenizers: readonly string[];
  /** Widths of attention heads for which keys and values are kept in Q8_0; for others, in F16. */
  quantisedCache: readonly number[];
  /** How many requests one replica may compute at once with all answers correct. */
  maxParallel: number;
}

/** The architectures of models with ternary weights: those that microsoft/BitNet's converters write. */
const BITNET = ["bitnet-b1.58", "bitnet-25", "bitnet", "llama"];

const each = (architectures: readonly string[], types: readonly TernaryType[]) =>
  architectures.map((architecture) => [architecture, types] as const);

/**
 * - bitnet.cpp: TQ1_0 and TQ2_0 were never compared with known answers. 4 slots: 48 starts without a wrong answer
 *   (docs).
 * - ik_llama.cpp: src/llama-arch.cpp. It loads I2_S but silently computes it wrong; its own pull request 169 made
 *   llama-quantize read I2_S instead. It has no TQ1_0 and TQ2_0 (ggml/include/ggml.h), which
 *   docker/server/build/pack-ternary.pl writes as IQ2_BN. Q1_0 is its Q1_0_G128 (its pull request 1570), which was
 *   compared with plain arithmetic in the only architecture that models come in. Its src/llama-vocab.cpp does not know
 *   Falcon-E's tokenizer. A cache in Q8_0 is read by its own flash attention, which is compiled
 *   for these widths. 8 slots: right with the changes of docker/server/build/patch-engine.sh (docs).
 */
export const ENGINES: Readonly<Record<Engine, EngineAbilities>> = {
  "bitnet.cpp": {
    types: new Map(each(BITNET, ["I2_S"])),
    converts: undefined,
    unknownTokenizers: [],
    quantisedCache: [],
    maxParallel: 4,
  },
  "ik_llama.cpp": {
    types: new Map([...each(BITNET, ["I2_S", "TQ1_0", "TQ2_0", "IQ1_BN", "IQ2_BN"]), ...each(["qwen3"], ["Q1_0"])]),
    converts: { from: ["I2_S", "TQ1_0", "TQ2_0"], to: "IQ2_BN" },
    unknownTokenizers: ["falcon_e"],
    quantisedCache: [64, 96, 128, 256],
    maxParallel: 8,
  },
};
