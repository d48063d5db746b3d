import { closest, distance } from "fastest-levenshtein";
import { UserError } from "../errors.ts";

/** A published BitNet model in GGUF. */
export interface CatalogueModel {
  /** What a stack calls it in the setting `model`; also the name that the API reports, unless `modelAlias` is set. */
  name: string;
  url: string;
  /** The file's SHA-256, which `modelSha256` defaults to; absent where no page was found that says it. */
  sha256?: string;
  /** The file's length in bytes; absent where no page was found that says it. */
  size?: number;
  /**
   * Tokens that the model was trained to look back on; absent where no page was found that says it of this very model
   * (Falcon3's 1.58-bit models have shorter contexts than the models that they were made from). For reading only: what
   * the GGUF itself says decides.
   */
  contextLength?: number;
  license: string;
  /** The public page that names the repository and the file. */
  source: string;
}

/** The branch, where no page was found, as of November 2026, that names a revision. */
const revisionUnknown = "main";

const FALCON_LICENSE = "Falcon-LLM License (falconllm.tii.ae/falcon-terms-and-conditions.html)";

/**
 * Published BitNet models of which a public page names the GGUF file. Models that only come as safetensors (1bitLLM's)
 * or in a type that no engine here computes rightly (TQ1_0, TQ2_0) are left out.
 *
 * Context lengths: the 2B-4T's is its GGUF's own (github.com/ikawrakow/ik_llama.cpp/issues/365 prints it), Llama 3's is
 * in github.com/microsoft/vidur/issues/78, Falcon3-1B's in huggingface.co/tiiuae/Falcon3-1B-Instruct-1.58bit's
 * config.json.
 *
 * Revisions, sums and sizes, looked up in November 2026 on pages other than Hugging Face's own, which could not be
 * reached: of the 2B-4T all three stand in several projects that pin it (a test of theirs, a list of cases to validate,
 * a record of a download), and agree. The Falcon models' sums and sizes are in one catalogue of a public project
 * (`BITNET_MODEL_CATALOG` of its model registry), whose entry for the 2B-4T is right; no page was found that names a
 * revision of theirs, so it is the sum that pins them. Of Llama3-8B-1.58 neither was found: its address is its branch,
 * and what it leads to may change.
 */
export const CATALOGUE: readonly CatalogueModel[] = [
  {
    name: "bitnet-b1.58-2B-4T",
    url: i2s("microsoft/bitnet-b1.58-2B-4T-gguf", "a1f2f1c765812aa8af3f6eda4a313707064bba15"),
    sha256: "4221b252fdd5fd25e15847adfeb5ee88886506ba50b8a34548374492884c2162",
    size: 1_187_801_280,
    contextLength: 4096,
    license: "MIT",
    source: "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T-gguf/tree/main",
  },
  {
    name: "Llama3-8B-1.58-100B-tokens",
    url: i2s("eugenehp/Llama3-8B-1.58-100B-tokens-GGUF", revisionUnknown),
    contextLength: 8192,
    license: "Meta Llama 3 Community License, as a derivative of Meta-Llama-3-8B-Instruct",
    source: "https://huggingface.co/eugenehp/Llama3-8B-1.58-100B-tokens-GGUF/tree/main",
  },
  {
    name: "Falcon3-1B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-1B-Instruct-1.58bit-GGUF", revisionUnknown),
    sha256: "0ecef8ad9bcb1b7d3b73bac7b0237daf2faa962b60cbbaf62c86ff51a39444b4",
    size: 1_361_904_672,
    contextLength: 8192,
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon3-1B-Instruct-1.58bit-GGUF/tree/main",
  },
  {
    name: "Falcon3-3B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-3B-Instruct-1.58bit-GGUF", revisionUnknown),
    sha256: "2ee9723dc1abcc53f231ef1637bdd7c1ec1dbaf132c2c59873100cfb48b41455",
    size: 2_221_465_632,
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon3-3B-Instruct-1.58bit-GGUF/tree/main",
  },
  {
    name: "Falcon3-7B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-7B-Instruct-1.58bit-GGUF", revisionUnknown),
    sha256: "612ab67d4c5fb77d9f810eb521eb4a477dae46df1a85ca501018490e2dac35c6",
    size: 3_278_680_768,
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon3-7B-Instruct-1.58bit-GGUF/tree/main",
  },
  {
    name: "Falcon3-10B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-10B-Instruct-1.58bit-GGUF", revisionUnknown),
    sha256: "e37945ee82693a6541b5fa5484f0e24787c04a9ce95e6e377f68a6b15f139c1f",
    size: 3_991_393_696,
    license: FALCON_LICENSE,
    source: "https://github.com/ikawrakow/ik_llama.cpp/pull/169",
  },
  {
    name: "Falcon-E-3B-Instruct",
    url: i2s("tiiuae/Falcon-E-3B-Instruct-GGUF", revisionUnknown),
    sha256: "acef6896311c5d0713d80e4c7f7bc2ffa1fa183d905e2ca9236545372f434255",
    size: 999_908_608,
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon-E-3B-Instruct-GGUF",
  },
];

/** The catalogue's default: the only model that was trained from the start as BitNet and is published by its authors. */
export const DEFAULT_MODEL = "bitnet-b1.58-2B-4T";

/** @throws UserError, with the nearest name, if the catalogue has no model of that name */
export function findModel(name: string): CatalogueModel {
  const model = CATALOGUE.find((entry) => entry.name.toLowerCase() === name.toLowerCase());
  if (model !== undefined) return model;
  const names = CATALOGUE.map((entry) => entry.name);
  const nearest = closest(
    name.toLowerCase(),
    names.map((known) => known.toLowerCase()),
  );
  const suggestion = names.find((known) => known.toLowerCase() === nearest) ?? DEFAULT_MODEL;
  const near = distance(name.toLowerCase(), nearest) <= suggestion.length / 2;
  throw new UserError({
    key: "model",
    value: name,
    wrong: "the catalogue has no model of this name",
    right: `${near ? `did you mean ${suggestion}? It has` : "one of"} ${names.join(", ")}; for any other, set modelUrl`,
  });
}

/** All of them keep the name that Microsoft's converter gives a file of type I2_S. */
function i2s(repository: string, revision: string): string {
  return `https://huggingface.co/${repository}/resolve/${revision}/ggml-model-i2_s.gguf`;
}
