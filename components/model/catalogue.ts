import { closest, distance } from "fastest-levenshtein";
import { UserError } from "../errors.ts";
import type { Engine } from "./engines.ts";

/** A published 1-bit or 1.58-bit model in GGUF. */
export interface CatalogueModel {
  /** Its name in the setting `model`; also its name in the API, unless `modelAlias` is set. */
  name: string;
  url: string;
  /** The file's SHA-256, the default of `modelSha256`; absent if no page was found that states it. */
  sha256?: string;
  /** The file's length in bytes; absent if no page was found that states it. */
  size?: number;
  /**
   * The model's trained context length in tokens; absent if no page was found that states it for this very model
   * (Falcon3's 1.58-bit models have shorter contexts than the models that they were made from). For information only:
   * what the GGUF itself says counts.
   */
  contextLength?: number;
  /** The engines that run it, as built into the image here. */
  engines: readonly Engine[];
  license: string;
  /** The public page that names the repository and the file. */
  source: string;
}

/** The branch, used if no page was found, as of November 2026, that names a revision. */
const revisionUnknown = "main";

const FALCON_LICENSE = "Falcon-LLM License (falconllm.tii.ae/falcon-terms-and-conditions.html)";

const BOTH: readonly Engine[] = ["bitnet.cpp", "ik_llama.cpp"];

/**
 * Published models for which a public page names a GGUF file that an engine here runs. Left out are models that come as
 * safetensors (1bitLLM's) or as files that have to be converted first, and Ternary-Bonsai, in Q2_0, PQ2_0 and PTQ1_0,
 * which no engine here computes. For TriLM, in TQ1_0 and TQ2_0, no page was found that names a file of its publisher;
 * use `modelUrl` to serve it.
 *
 * Context lengths: the 2B-4T's is its GGUF's own (github.com/ikawrakow/ik_llama.cpp/issues/365 prints it), Llama 3's is
 * in github.com/microsoft/vidur/issues/78, Falcon3-1B's in huggingface.co/tiiuae/Falcon3-1B-Instruct-1.58bit's
 * config.json, the Bonsai models' on their pages.
 *
 * Revisions, sums and sizes were looked up in November 2026 on pages other than Hugging Face's own, which could not be
 * reached. For the 2B-4T, several projects that pin it name all three (in a test, a list of cases to validate, a record
 * of a download), and they agree. The Falcon models' sums and sizes are in one catalogue of a public project
 * (`BITNET_MODEL_CATALOG` of its model registry), whose entry for the 2B-4T is right. No page was found that names a
 * revision of theirs, so the sum pins them. For the Bonsai models, several projects name all three and agree: one after
 * it had downloaded the 1.7B, one after it had compared the 8B with Hugging Face's own record. For Llama3-8B-1.58
 * nothing was found: its address is its branch, and what it leads to may change.
 */
export const CATALOGUE: readonly CatalogueModel[] = [
  {
    name: "bitnet-b1.58-2B-4T",
    url: i2s("microsoft/bitnet-b1.58-2B-4T-gguf", "a1f2f1c765812aa8af3f6eda4a313707064bba15"),
    sha256: "4221b252fdd5fd25e15847adfeb5ee88886506ba50b8a34548374492884c2162",
    size: 1_187_801_280,
    contextLength: 4096,
    engines: BOTH,
    license: "MIT",
    source: "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T-gguf/tree/main",
  },
  {
    name: "Llama3-8B-1.58-100B-tokens",
    url: i2s("eugenehp/Llama3-8B-1.58-100B-tokens-GGUF", revisionUnknown),
    contextLength: 8192,
    engines: BOTH,
    license: "Meta Llama 3 Community License, as a derivative of Meta-Llama-3-8B-Instruct",
    source: "https://huggingface.co/eugenehp/Llama3-8B-1.58-100B-tokens-GGUF/tree/main",
  },
  {
    name: "Falcon3-1B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-1B-Instruct-1.58bit-GGUF", revisionUnknown),
    sha256: "0ecef8ad9bcb1b7d3b73bac7b0237daf2faa962b60cbbaf62c86ff51a39444b4",
    size: 1_361_904_672,
    contextLength: 8192,
    engines: BOTH,
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon3-1B-Instruct-1.58bit-GGUF/tree/main",
  },
  {
    name: "Falcon3-3B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-3B-Instruct-1.58bit-GGUF", revisionUnknown),
    sha256: "2ee9723dc1abcc53f231ef1637bdd7c1ec1dbaf132c2c59873100cfb48b41455",
    size: 2_221_465_632,
    engines: BOTH,
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon3-3B-Instruct-1.58bit-GGUF/tree/main",
  },
  {
    name: "Falcon3-7B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-7B-Instruct-1.58bit-GGUF", revisionUnknown),
    sha256: "612ab67d4c5fb77d9f810eb521eb4a477dae46df1a85ca501018490e2dac35c6",
    size: 3_278_680_768,
    engines: BOTH,
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon3-7B-Instruct-1.58bit-GGUF/tree/main",
  },
  {
    name: "Falcon3-10B-Instruct-1.58bit",
    url: i2s("tiiuae/Falcon3-10B-Instruct-1.58bit-GGUF", revisionUnknown),
    sha256: "e37945ee82693a6541b5fa5484f0e24787c04a9ce95e6e377f68a6b15f139c1f",
    size: 3_991_393_696,
    engines: BOTH,
    license: FALCON_LICENSE,
    source: "https://github.com/ikawrakow/ik_llama.cpp/pull/169",
  },
  {
    name: "Falcon-E-1B-Instruct",
    url: i2s("tiiuae/Falcon-E-1B-Instruct-GGUF", revisionUnknown),
    sha256: "feb7478007e916d26bb807cb1a01cc45ac16f197e355d8c30aed25e550ecd73b",
    size: 666_324_256,
    engines: ["bitnet.cpp"],
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon-E-1B-Instruct-GGUF",
  },
  {
    name: "Falcon-E-3B-Instruct",
    url: i2s("tiiuae/Falcon-E-3B-Instruct-GGUF", revisionUnknown),
    sha256: "acef6896311c5d0713d80e4c7f7bc2ffa1fa183d905e2ca9236545372f434255",
    size: 999_908_608,
    engines: ["bitnet.cpp"],
    license: FALCON_LICENSE,
    source: "https://huggingface.co/tiiuae/Falcon-E-3B-Instruct-GGUF",
  },
  {
    ...bonsai("Bonsai-1.7B", "210a9e99f79cb184909d49595906526eb2b3dd9a"),
    sha256: "3d7c6c90dd98717a203adb22d5eacd2581850e40aa5327e144b97766cae5f7e3",
    size: 248_302_272,
    contextLength: 32_768,
  },
  {
    ...bonsai("Bonsai-4B", "78f2c2bacd0904ffaba24b4873ed975e5818354a"),
    sha256: "4524b3f997f0f06444e568d1f26e2efd69effa3218c7ad3047432fb171e42168",
    size: 572_270_624,
    contextLength: 32_768,
  },
  {
    ...bonsai("Bonsai-8B", "48516770dd04643643e9f9019a2a349cf26c5dbd"),
    sha256: "284a335aa3fb2ced3b1b01fcb40b08aa783e3b70832767f0dd2e3fdfa134bd54",
    size: 1_158_654_496,
    contextLength: 65_536,
  },
];

/**
 * The catalogue's default: trained as BitNet from the start, published by BitNet's authors under a free licence, small
 * enough for most machines, pinned by revision and sum, and supported by both engines.
 */
export const DEFAULT_MODEL = "bitnet-b1.58-2B-4T";

/** @throws UserError, with the closest name, if the catalogue has no model of that name */
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

/** All of them keep the file name that Microsoft's converter uses for type I2_S. */
function i2s(repository: string, revision: string): string {
  return `https://huggingface.co/${repository}/resolve/${revision}/ggml-model-i2_s.gguf`;
}

/** Everything is in Q1_0, including the embedding. */
function bonsai(name: string, revision: string): CatalogueModel {
  const page = `https://huggingface.co/prism-ml/${name}-gguf`;
  const url = `${page}/resolve/${revision}/${name}-Q1_0.gguf`;
  return { name, url, engines: ["ik_llama.cpp"], license: "Apache-2.0", source: page };
}
