/**
 * Writes small, valid BitNet b1.58 GGUF files, so that a real engine has a real model to load where none can be
 * downloaded, and so that tests know the one right answer to a question.
 *
 * A model says an opening, then repeats the digit that the prompt contains (a word for "nothing" if it has none), then
 * a closing, then any number of words more, then ends. All words are drawn from the seed. The digit is found by
 * attention over the whole prompt and the words follow each other by the feed-forward block: an engine that multiplies
 * ternary weights wrongly, mixes up its KV cache, its slots or its conversations, or loses a token, answers something
 * else. Everything but the first layer's attention and the last layer's feed-forward block is noise of next to no
 * amplitude, so speed and memory are those of a trained model of the same shape.
 *
 * A random model (see {@link writeRandomModel}) says nothing that makes sense, but every one of its weights counts: it is
 * there to compare an engine's log-probabilities with.
 *
 *     node tools/syntheticModel.ts tiny model.gguf --seed 7 --words 200 --questions questions.txt
 *
 * The container's format is the GGUF specification's (github.com/ggml-org/ggml, docs/gguf.md).
 */
import { open, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Tensor, Value } from "./gguf.ts";
import type { Answers, ProgramOptions, Shape } from "./answerProgram.ts";
import { answersOf, program, SHAPES, vocabulary } from "./answerProgram.ts";
import { byteLength, ggufHeader, I2_S_TAIL, padded, writeGguf } from "./gguf.ts";
import { modelMetadata, SPECIAL_TOKENS } from "./modelMetadata.ts";
import { drawnHalves, I2_S_ZEROS, oneHot, packed, packedNoise, packedThirds, random, zeros } from "./tensorBytes.ts";

export interface SyntheticModelOptions extends ProgramOptions {
  /** `general.name` in the file. Default: bitnet-synthetic-<size>. */
  name?: string;
  /** The context length, in tokens, that the file says the model was trained with. Default: 4096. */
  contextLength?: number;
  /** `general.architecture` in the file. Default: bitnet-b1.58. With another one, the file only looks like a model. */
  architecture?: string;
  /** The type of the linear layers' weights. Default: I2_S. With another one they are all zero: a model to refuse. */
  weightType?: "I2_S" | "F16" | "Q4_K";
}

/** Writes the model tensor by tensor: no more than a few MB of it are ever in memory. */
export async function writeSyntheticModel(path: string, options: SyntheticModelOptions = {}): Promise<Answers> {
  const tensors = tensorsOf(options);
  await writeGguf(path, metadata(options), tensors);
  return answersOf(options);
}

export type RandomModelOptions = Pick<SyntheticModelOptions, "size" | "seed" | "name">;

/** Writes a model of the same shape whose weights are all drawn from the seed. */
export async function writeRandomModel(path: string, options: RandomModelOptions = {}): Promise<void> {
  const tensors = tensorsOf(options, drawnWeights(options));
  await writeGguf(path, metadata(options), tensors);
}

/**
 * Sets all weights of one ternary tensor to 0, in the file; everything else, the tensor's scale included, stays.
 * `options` are those that the file was written with.
 */
export async function corrupt(path: string, tensorName: string, options: SyntheticModelOptions = {}): Promise<void> {
  const tensors = tensorsOf(options);
  const index = tensors.findIndex(({ name }) => name === tensorName);
  const tensor = tensors[index];
  if (tensor?.type !== "I2_S") throw new RangeError(`no ternary tensor is called ${JSON.stringify(tensorName)}`);
  const before = tensors.slice(0, index).reduce((sum, { type, dims }) => sum + padded(byteLength(type, dims)), 0);
  const file = await open(path, "r+");
  try {
    const zeros = Buffer.alloc(byteLength("I2_S", tensor.dims) - I2_S_TAIL, I2_S_ZEROS);
    await file.write(zeros, 0, zeros.length, ggufHeader(metadata(options), tensors).length + before);
  } finally {
    await file.close();
  }
}

/** GPT-2's printable stand-ins for the 256 bytes, in byte order: the space is "Ġ". */
function byteAlphabet(): string[] {
  const printable = (byte: number) =>
    (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || (byte > 173 && byte < 256);
  let hidden = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : hidden++));
}

/** What stands in a model's tensors, as bytes. */
interface Weights {
  embedding: (width: number, rows: number) => Iterable<Uint8Array>;
  norm: (length: number) => Float32Array<ArrayBuffer>;
  /** In I2_S. */
  linear: (name: string, columns: number, rows: number) => Iterable<Uint8Array>;
}

/** The program, and noise. */
function programmedWeights(options: SyntheticModelOptions): Weights {
  const { stateOfToken, matrices } = program(options);
  const noise = random(~(options.seed ?? 1));
  return {
    embedding: (width, rows) => oneHot(stateOfToken, width, rows),
    norm: (length) => new Float32Array(length).fill(1),
    linear: (name, columns, rows) => {
      const ternary = matrices.get(name);
      return ternary === undefined ? packedNoise(noise, columns, rows) : packed(ternary, columns, rows);
    },
  };
}

/** With these, activations stay of order 1, and the most likely token has a probability of some hundredths. */
function drawnWeights({ seed = 1 }: RandomModelOptions): Weights {
  const next = random(~seed);
  return {
    embedding: (width, rows) => drawnHalves(next, width * rows),
    norm: (length) => Float32Array.from({ length }, () => 0.5 + next() / 2 ** 32),
    linear: (_, columns, rows) => packedThirds(next, columns, rows),
  };
}

function tensorsOf(options: SyntheticModelOptions, weights = programmedWeights(options)): Tensor[] {
  const { size = "tiny", weightType = "I2_S" } = options;
  const shape = SHAPES[size];
  const { width, vocabulary: rows } = shape;
  const embedding = () => weights.embedding(width, rows);
  const layers = Array.from({ length: shape.layers }, (_, layer) =>
    layerOf(`blk.${layer}`, shape, weights, weightType),
  );
  return [
    { name: "token_embd.weight", dims: [width, rows], type: "F16", content: embedding },
    norm("output_norm", width, weights),
    ...layers.flat(),
  ];
}

type WeightType = NonNullable<SyntheticModelOptions["weightType"]>;

function layerOf(layer: string, shape: Shape, weights: Weights, type: WeightType): Tensor[] {
  const { width, feedForward } = shape;
  const kvWidth = (width / shape.heads) * shape.kvHeads;
  const norms: [string, number][] = [
    ["attn_norm", width],
    ["attn_sub_norm", width],
    ["ffn_norm", width],
    ["ffn_sub_norm", feedForward],
  ];
  const linears: [string, columns: number, rows: number][] = [
    ["attn_q", width, width],
    ["attn_k", width, kvWidth],
    ["attn_v", width, kvWidth],
    ["attn_output", width, width],
    ["ffn_gate", width, feedForward],
    ["ffn_up", width, feedForward],
    ["ffn_down", feedForward, width],
  ];
  return [
    ...norms.map(([part, length]) => norm(`${layer}.${part}`, length, weights)),
    ...linears.map(([part, columns, rows]) => linear(`${layer}.${part}`, [columns, rows], weights, type)),
  ];
}

function norm(name: string, length: number, weights: Weights): Tensor {
  const content = () => [new Uint8Array(weights.norm(length).buffer)];
  return { name: `${name}.weight`, dims: [length], type: "F32", content };
}

function linear(name: string, dims: [columns: number, rows: number], weights: Weights, type: WeightType): Tensor {
  const content = () => (type === "I2_S" ? weights.linear(name, ...dims) : zeros(byteLength(type, dims)));
  return { name: `${name}.weight`, dims, type, content };
}

/** What the file says of the model, besides its tensors. */
export function metadata(options: SyntheticModelOptions): Record<string, Value> {
  const { size = "tiny", architecture = "bitnet-b1.58", contextLength = 4096 } = options;
  const shape = SHAPES[size];
  const { opening, nothing, rest } = vocabulary(options);
  const alphabet = byteAlphabet();
  const space = alphabet[32] ?? "";
  const words = [...opening, nothing, ...rest].map((word) => word.replaceAll(" ", space));
  const unused = shape.vocabulary - alphabet.length - words.length - SPECIAL_TOKENS.length;
  const ordinary = [...alphabet, ...words, ...Array.from({ length: unused }, (_, i) => `unused${i}`)];
  return modelMetadata({
    architecture,
    name: options.name ?? `bitnet-synthetic-${size}`,
    shape,
    contextLength,
    ropeBase: 500000,
    tokens: [...ordinary, ...SPECIAL_TOKENS],
    merges: [`${space} t`],
  });
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: "string", default: "1" },
      words: { type: "string", default: "0" },
      questions: { type: "string" },
    },
  });
  const [size, path] = positionals;
  if ((size !== "tiny" && size !== "2b") || path === undefined) {
    console.error("usage: node tools/syntheticModel.ts tiny|2b OUT.gguf [--seed N] [--words N] [--questions OUT.txt]");
    process.exit(2);
  }
  const options = { size, seed: Number(values.seed), words: Number(values.words) } satisfies SyntheticModelOptions;
  const { questions } = await writeSyntheticModel(path, options);
  if (values.questions !== undefined) {
    await writeFile(values.questions, questions.map(({ prompt, answer }) => `${prompt}\t${answer}\n`).join(""));
  }
}
