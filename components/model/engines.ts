/** What can be compiled into llama-server. */
export const ENGINE_NAMES = ["bitnet.cpp", "ik_llama.cpp"] as const;
export type Engine = (typeof ENGINE_NAMES)[number];

/** The types that a BitNet model's ternary weights come in; the numbers are in {@link tensorTypeName}. */
export const TERNARY_TYPES = ["I2_S", "TL1", "TL2", "TQ1_0", "TQ2_0", "IQ1_BN", "IQ2_BN"] as const;
export type TernaryType = (typeof TERNARY_TYPES)[number];

/** What an engine, as docker/server/Dockerfile builds it, was shown to do. */
export interface EngineAbilities {
  /** Values of `general.architecture` that it loads and that models with ternary weights come in. */
  architectures: readonly string[];
  /** Types whose products it computes rightly from the file as it is. */
  computes: readonly TernaryType[];
  /** Types that its llama-quantize turns into `to`, without loss, while the image is built. */
  requantises: { from: readonly TernaryType[]; to: TernaryType } | undefined;
  /** Values of `tokenizer.ggml.pre` that such models come with and that it refuses to load. */
  unknownTokenizers: readonly string[];
  /** How many requests one replica may compute at once with every answer right. */
  maxParallel: number;
}

/**
 * - bitnet.cpp: the architectures are those that the converters in microsoft/BitNet's utils/ write. TL1 and TL2 need
 *   kernels generated for one model's matrix sizes (utils/codegen_tl1.py, codegen_tl2.py), which this build has not;
 *   TQ1_0 and TQ2_0 were never compared with known answers. 4 slots: 48 starts without a wrong answer (docs).
 * - ik_llama.cpp: src/llama-arch.cpp. It loads I2_S but computes it wrongly and silently; its own pull request 169 made
 *   llama-quantize read I2_S instead. It has no TQ1_0, TQ2_0, TL1 or TL2 (ggml/include/ggml.h). Its src/llama-vocab.cpp
 *   does not know Falcon-E's tokenizer. 8 slots: right with the changes of docker/server/build/patch-engine.sh (docs).
 */
export const ENGINES: Readonly<Record<Engine, EngineAbilities>> = {
  "bitnet.cpp": {
    architectures: ["bitnet-b1.58", "bitnet-25", "bitnet", "llama"],
    computes: ["I2_S"],
    requantises: undefined,
    unknownTokenizers: [],
    maxParallel: 4,
  },
  "ik_llama.cpp": {
    architectures: ["bitnet-b1.58", "bitnet-25", "bitnet", "llama"],
    computes: ["IQ1_BN", "IQ2_BN"],
    requantises: { from: ["I2_S"], to: "IQ2_BN" },
    unknownTokenizers: ["falcon_e"],
    maxParallel: 8,
  },
};

/** The types that an engine takes, as they are or requantised. */
export function acceptedTypes(engine: Engine): readonly TernaryType[] {
  const { computes, requantises } = ENGINES[engine];
  return [...computes, ...(requantises?.from ?? [])];
}
