import type { Problem } from "../errors.ts";
import type { Engine, TernaryType } from "./engines.ts";
import { ENGINES } from "./engines.ts";
import type { ModelFacts } from "./inspect.ts";
import { tensorBytes } from "./tensorTypes.ts";

/** One replica's memory need, in bytes. */
export interface MemoryNeed {
  weights: number;
  kvCache: number;
  compute: number;
  overhead: number;
  total: number;
}

const MIB = 2 ** 20;

/** Tokens that llama-server computes at once while reading a prompt: its default for --ubatch-size. */
const BATCH = 512;

/**
 * What the server needs in addition to the model's buffers: its code, the vocabulary, the sockets, the requests' texts.
 * A margin, not a measurement. It excludes the server's cache of old prompts, which must be off (`--cache-ram 0`);
 * otherwise its limit has to be added, by default 8 GiB in ik_llama.cpp (common/common.h).
 */
const OVERHEAD = 256 * MIB;

/**
 * The memory that one replica needs.
 * @param contextSize tokens per slot
 * @param slots requests answered at once
 */
export function memoryNeed(facts: ModelFacts, engine: Engine, contextSize: number, slots: number): MemoryNeed {
  const weights = weightBytes(facts, engine);
  const tokens = contextSize * slots;
  const kvCache = facts.layers * tokens * 2 * tensorBytes(cacheType(facts, engine), [facts.kvHeads * facts.headWidth]);
  const compute = computeBytes(facts, tokens);
  return { weights, kvCache, compute, overhead: OVERHEAD, total: weights + kvCache + compute + OVERHEAD };
}

/** The type in which keys and values are kept. docker/server/build/check-gguf.pl has the same rule. */
export function cacheType({ headWidth }: ModelFacts, engine: Engine): "Q8_0" | "F16" {
  return ENGINES[engine].quantisedCache.includes(headWidth) ? "Q8_0" : "F16";
}

/**
 * The peak of what is held at the same time, in F32, while a batch is computed: the logits and the last layer's output;
 * or, without flash attention, each head's attention scores, their mask, and the layer's inputs and outputs.
 * For the 2B-4T model at 4096 tokens that is 255.5 MiB, which is what ik_llama.cpp prints ("CPU compute buffer size",
 * its pull request 337).
 */
function computeBytes({ vocabulary, width, heads }: ModelFacts, tokens: number): number {
  return BATCH * 4 * Math.max(vocabulary + width, (heads + 1) * tokens + 4 * width);
}

/** The weights after docker/server/build/convert-model.sh has converted them: what a token touches. */
export function imageWeights({ tensors, ternaryType }: ModelFacts, engine: Engine): number {
  const { converts } = ENGINES[engine];
  const ternary = converts?.from.includes(ternaryType) === true ? converts.to : ternaryType;
  return sum(
    tensors.map((tensor) => {
      if (tensor.type === ternaryType) return tensorBytes(ternary, tensor.dims);
      return isVocabulary(tensor) ? vocabularyBytes(tensor, ternaryType) : tensorBytes(tensor.type, tensor.dims);
    }),
  );
}

/**
 * The weights as the engine holds them. Without an output matrix, it makes one from the embedding and so holds that
 * twice (`TENSOR_DUPLICATED` in both engines' loaders; ik_llama.cpp prints 1,014.88 MiB for the 758 MiB of the 2B-4T
 * model).
 */
function weightBytes(facts: ModelFacts, engine: Engine): number {
  const vocabulary = facts.tensors.filter(isVocabulary);
  const copy =
    vocabulary.length === 1 ? sum(vocabulary.map((tensor) => vocabularyBytes(tensor, facts.ternaryType))) : 0;
  return imageWeights(facts, engine) + copy;
}

type Tensor = ModelFacts["tensors"][number];

const isVocabulary = ({ name }: Tensor) => /^(token_embd|output)\.weight$/.test(name);

/**
 * Embedding and output matrix become Q6_K, or Q8_0 if a row is not a multiple of Q6_K's block size, unless they are
 * already smaller and of a type in docker/server/build/check-gguf.pl's `%quantised`. A model in Q1_0 stays as it is.
 */
function vocabularyBytes({ type, dims }: Tensor, ternaryType: TernaryType): number {
  const own = tensorBytes(type, dims);
  if (ternaryType === "Q1_0") return own;
  const becomes = tensorBytes((dims[0] ?? 0) % 256 === 0 ? "Q6_K" : "Q8_0", dims);
  return STAYS.includes(type) ? Math.min(own, becomes) : becomes;
}

const STAYS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"];

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

export interface Memory {
  /** Bytes available to replicas there. */
  available: number;
  /** The place, for the message: "this machine", "a c7a.2xlarge". */
  where: string;
}

/** Reports a problem if this many replicas do not fit into the memory there. */
export function memoryProblem(need: MemoryNeed, replicas: number, { available, where }: Memory): Problem | undefined {
  if (need.total * replicas <= available) return undefined;
  const fit = Math.floor(available / need.total);
  const parts = `weights ${mib(need.weights)}, context ${mib(need.kvCache)}, computing ${mib(need.compute + need.overhead)}`;
  const wrong = `${replicas} × ${mib(need.total)} (${parts}) is more than the ${mib(available)} of ${where}`;
  if (fit >= 1) {
    return { key: "replicas", value: replicas, wrong, right: `at most ${fit}, a smaller contextSize, or more memory` };
  }
  return { key: "replicas", value: replicas, wrong, right: "a smaller model or contextSize, or more memory" };
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / MIB).toLocaleString("en")} MiB`;
}
