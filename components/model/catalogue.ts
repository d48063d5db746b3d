import { closest, distance } from "fastest-levenshtein";
import { UserError } from "../errors.ts";

/** A published BitNet model in GGUF. */
export interface CatalogueModel {
  /** What a stack calls it in the setting `model`; also the name that the API reports, unless `modelAlias` is set. */
  name: string;
  url: string;
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

const FALCON_LICENSE = "Falcon-LLM License (falconllm.tii.ae/falcon-terms-and-conditions.html)";

/**
 * Published BitNet models of which a public page names the GGUF file. Models that only come as safetensors (1bitLLM's)
 * or in a type that no engine here computes rightly (TQ1_0, TQ2_0) are left out.
 *
 * Context lengths: the 2B-4T's is its GGUF's own (github.com/ikawrakow/ik_llama.cpp/issues/365 prints it), Llama 3's is
 * in github.com/microsoft/vidur/issues/78, Falcon3-1B's in huggingface.co/tiiuae/Falcon3-1B-Instruct-1.58bit's
 * config.json.
 */
export const CATALOGUE: readonly CatalogueModel[] = [
  {
    name: "bitnet-b1.58-2B-4T",
    url: i2s("microsoft/bitnet-b1.58-2B-4T-gguf"),
    contextLength: 4096,
    license: "MIT",
    source: "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T-gguf/tree/main",
  },
  {
    name: "Llama3-8B-1.58-100B-tokens",
    url: i2s("eugenehp/Llama3-8B-1.58-100B-tokens-GGUF"),
    contextLength: 8192,
    license: "Meta Llama 3 Community License, as a derivative of Meta-Llama-3-8B-Instruct",
    source: "https://huggingface.co/eugenehp/Llama3-8B-1.58-100B-tokens-GGUF/tree/main",
  },
  {
    name: "Falcon3-1B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-1B-Instruct-1.58bit-GGUF"),
    contextLength: 8192,
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon3-1B-Instruct-1.58bit-GGUF/tree/main",
  },
  {
    name: "Falcon3-3B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-3B-Instruct-1.58bit-GGUF"),
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon3-3B-Instruct-1.58bit-GGUF/tree/main",
  },
  {
    name: "Falcon3-7B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-7B-Instruct-1.58bit-GGUF"),
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon3-7B-Instruct-1.58bit-GGUF/tree/main",
  },
  {
    name: "Falcon3-10B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-10B-Instruct-1.58bit-GGUF"),
    license: FALCON_LICENSE,
    source: "https://github.com/ikawrakow/ik_llama.cpp/pull/169",
  },
  {
    name: "Falcon-E-3B-Instruct",
    url: i2s("tiiuae/Falcon-E-3B-Instruct-GGUF"),
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
function i2s(repository: string): string {
  return `https://huggingface.co/${repository}/resolve/main/ggml-model-i2_s.gguf`;
}
