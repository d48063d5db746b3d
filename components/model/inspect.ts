import { GGUFValueType, gguf } from "@huggingface/gguf";
import { UserError } from "../errors.ts";
import type { ByteSource, Patience, Refuse } from "./byteSource.ts";
import { fileSource, httpSource } from "./byteSource.ts";
import type { Engine, TernaryType } from "./engines.ts";
import type { PromptFacts } from "./promptFacts.ts";
import { promptFacts } from "./promptFacts.ts";
import { checkEngine, checkVocabulary, ternaryTypeOf } from "./supported.ts";
import { tensorBytes, tensorTypeName } from "./tensorTypes.ts";

export interface Tensor {
  name: string;
  type: string;
  /** The length of a row comes first. */
  dims: readonly number[];
}

/** What a model's file says about itself. */
export interface ModelFacts {
  architecture: string;
  /** `general.name`, if it has one. */
  name: string | undefined;
  /** The trained context length, in tokens. */
  contextLength: number;
  layers: number;
  /** Length of the residual stream. */
  width: number;
  heads: number;
  kvHeads: number;
  headWidth: number;
  /** Number of tokens in the vocabulary. */
  vocabulary: number;
  ternaryType: TernaryType;
  prompt: PromptFacts;
  tensors: readonly Tensor[];
  /** Bytes of the whole file. */
  fileSize: number;
}

export interface InspectOptions {
  /** The setting that named the model, for messages. */
  key: "model" | "modelUrl";
  /** That setting's value, for messages. */
  value: string;
  /** An http(s) URL, or the path of a file. */
  location: string;
  /** Undefined: any existing one. */
  engine: Engine | undefined;
  /** A bearer token, for private and gated models. */
  token?: string | undefined;
  /** Default: 10 s of silence, then up to two more attempts. */
  patience?: Patience;
}

/** The number of bytes that @huggingface/gguf requests at a time. */
const CHUNK = 2_000_000;
/** Real models have a few hundred; the library stops at 10 million and 100,000. */
const MOST_TENSORS = 100_000n;
const MOST_KEYS = 100_000n;
/**
 * GGUF_DEFAULT_ALIGNMENT (ggml/include/ggml.h). A file written by llama-quantize is laid out with this alignment, even
 * if it still states the original file's.
 */
const ALIGNMENT = 32;
const ALIGNED = `tensors aligned to ${ALIGNMENT} bytes, as the engines' llama-quantize writes them: convert it again`;

/**
 * Reads a GGUF's header, a few MB at most, and decides whether the engine runs the model correctly.
 * @throws UserError if it cannot be read, is not a complete GGUF, or is not a BitNet model that the engine runs
 */
export async function inspectModel(options: InspectOptions): Promise<ModelFacts> {
  const { key, value, location, engine } = options;
  const refuse: Refuse = (wrong, right) => new UserError({ key, value, wrong, right });
  const source = sourceOf(options, refuse);
  const start = await source.read(0, CHUNK);
  checkStart(start, source.size, location, refuse);
  const header = await readHeader(source, start, refuse);
  const facts = { ...factsOf(header, refuse), fileSize: source.size ?? header.dataEnd };
  checkVocabulary(facts, refuse);
  if (engine !== undefined) checkEngine(facts, header.tokenizer, engine, refuse);
  checkEnd(header, source.size, refuse);
  return facts;
}

/** Whether a location is meant as a URL rather than a file's path. */
export function isUrl(location: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(location);
}

function sourceOf({ location, token, patience }: InspectOptions, refuse: Refuse): ByteSource {
  if (!isUrl(location)) return fileSource(location, refuse);
  const url = URL.parse(location);
  if (url === null) throw refuse("it is not a valid URL", "an http(s) URL, or the path of a file");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw refuse(`${url.protocol}// is not supported`, "an http:// or https:// URL, or the path of a file");
  }
  if (url.username !== "" || url.password !== "") {
    throw refuse("it has a user name or a password in it", "a URL without; a token goes into modelToken");
  }
  return httpSource(url, token, refuse, patience);
}

const WHOLE_FILE = "the complete file: download or convert it again";
const BITNET_GGUF = "a GGUF file of a BitNet model";

/** Checks by the first bytes that it is a GGUF that the engines read. If not, says what it is, if recognisable. */
function checkStart(start: Uint8Array, size: number | undefined, location: string, refuse: Refuse): void {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  const text = bytes.toString("latin1", 0, 512);
  if (bytes.length === 0) throw refuse("the file is empty", BITNET_GGUF);
  if (!text.startsWith("GGUF")) {
    if (/^\s*<(!doctype|html|\?xml)/i.test(text)) {
      const right = "the file's own address; on Hugging Face that is …/resolve/main/FILE, not …/blob/main/FILE";
      throw refuse("it is a web page (HTML), not a model", right);
    }
    if (text.startsWith("version https://git-lfs")) {
      throw refuse("it is a Git LFS pointer, not the file itself", "the file: `git lfs pull` fetches it");
    }
    if (location.endsWith(".safetensors") || (bytes.length > 8 && text.startsWith('{"', 8))) {
      throw refuse("it is a safetensors file, not GGUF", `${BITNET_GGUF}: convert it with the engine's own script`);
    }
    const short = bytes.length < 24 ? `it has only ${bytes.length} bytes and` : "it";
    throw refuse(`${short} does not begin with "GGUF"`, BITNET_GGUF);
  }
  if (bytes.length < 24) {
    throw refuse(`it is truncated: ${size ?? bytes.length} bytes, less than a GGUF header`, WHOLE_FILE);
  }
  const version = bytes.readUInt32LE(4);
  if (version !== 0 && (version & 0xffff) === 0) {
    throw refuse("it is a big-endian GGUF, made for another kind of machine", "a little-endian GGUF");
  }
  if (version !== 2 && version !== 3) {
    throw refuse(`it is a GGUF of version ${version}`, "a GGUF of version 2 or 3: convert the model again");
  }
  const [tensors, keys] = [bytes.readBigUInt64LE(8), bytes.readBigUInt64LE(16)];
  if (tensors > MOST_TENSORS || keys > MOST_KEYS) {
    throw refuse(`its header claims ${tensors} tensors and ${keys} keys, so it is damaged`, WHOLE_FILE);
  }
}

interface Header {
  metadata: ReadonlyMap<string, unknown>;
  tokenizer: unknown;
  tensors: Tensor[];
  /** Where the last tensor's data ends, or begins if its size is unknown. */
  dataEnd: number;
}

async function readHeader(source: ByteSource, start: Uint8Array, refuse: Refuse): Promise<Header> {
  const truncated = () => refuse("it is truncated: the file ends within its header", WHOLE_FILE);
  // The library fetches by itself, without timeouts and without checking the status, and its reader of local files
  // runs past the end: our reader replaces both. The library treats anything but an http URL as a local file.
  const fetchRange = async (_: unknown, init?: RequestInit): Promise<Response> => {
    const [, from = 0, last = 0] = (new Headers(init?.headers).get("range")?.match(/(\d+)-(\d+)/) ?? []).map(Number);
    const bytes = last < CHUNK ? start.subarray(from) : await source.read(from, last + 1);
    if (bytes.length === 0) throw truncated();
    return new Response(Buffer.from(bytes));
  };
  try {
    const parsed = await gguf("http://model", { fetch: fetchRange, typedMetadata: true });
    if (source.size !== undefined && parsed.tensorInfoByteRange[1] > source.size) throw truncated();
    const dataStart = Number(parsed.tensorDataOffset);
    const tensors: Tensor[] = [];
    let dataEnd = dataStart;
    for (const { name, dtype, shape, offset } of parsed.tensorInfos) {
      const [type, dims] = [tensorTypeName(dtype), shape.map(Number)];
      tensors.push({ name, type, dims });
      dataEnd = Math.max(dataEnd, dataStart + Number(offset) + tensorBytes(type, dims));
    }
    const metadata = new Map<string, unknown>(Object.entries(parsed.metadata));
    // The engines exit at any other kind.
    const kind = parsed.typedMetadata["general.alignment"]?.type ?? GGUFValueType.UINT32;
    if (kind !== GGUFValueType.UINT32)
      throw refuse("its header has general.alignment of another kind than uint32", ALIGNED);
    return { metadata, tokenizer: metadata.get("tokenizer.ggml.pre"), tensors, dataEnd };
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw refuse(`its header cannot be read: ${reason}`, WHOLE_FILE);
  }
}

function factsOf({ metadata, tensors }: Header, refuse: Refuse): Omit<ModelFacts, "fileSize"> {
  const ternaryType = ternaryTypeOf(tensors, refuse);
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string") throw refuse("its header names no architecture", BITNET_GGUF);
  const optional = (key: string): number | undefined => {
    const value = metadata.get(`${architecture}.${key}`);
    // Some models give one number per layer.
    const number = Array.isArray(value) ? Math.max(...value.map(Number)) : value;
    return typeof number === "number" || typeof number === "bigint" ? Number(number) : undefined;
  };
  const required = (key: string): number => {
    const number = optional(key);
    if (number === undefined || !(number > 0)) throw refuse(`its header lacks ${architecture}.${key}`, BITNET_GGUF);
    return number;
  };
  refuseUnreadable(metadata, refuse);
  const name = metadata.get("general.name");
  const tokens = metadata.get("tokenizer.ggml.tokens");
  const heads = required("attention.head_count");
  const width = required("embedding_length");
  return {
    architecture,
    name: typeof name === "string" && name !== "" ? name : undefined,
    contextLength: required("context_length"),
    layers: required("block_count"),
    width,
    heads,
    kvHeads: optional("attention.head_count_kv") ?? heads,
    headWidth: optional("attention.key_length") ?? width / heads,
    vocabulary: optional("vocab_size") ?? (Array.isArray(tokens) ? tokens.length : 0),
    ternaryType,
    prompt: promptFacts(metadata),
    tensors,
  };
}

/** Refuses complete files that none of our engines reads correctly. */
function refuseUnreadable(metadata: Header["metadata"], refuse: Refuse): void {
  if ([...metadata.keys()].some((key) => key.startsWith("prism."))) {
    const wrong = "its weights are rotated (prism.hadamard), which only PrismML's fork of llama.cpp undoes";
    throw refuse(wrong, "a model of the first Bonsai series");
  }
  const parts = optionalCount(metadata.get("split.count"));
  if (parts > 1) {
    throw refuse(`it is one of ${parts} parts of a model`, "one file: join the parts with llama-gguf-split");
  }
  const alignment = metadata.get("general.alignment") ?? ALIGNMENT;
  if (alignment !== ALIGNMENT) throw refuse(`its tensors are aligned to ${optionalCount(alignment)} bytes`, ALIGNED);
}

function optionalCount(value: unknown): number {
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : 0;
}

function checkEnd({ dataEnd }: Header, size: number | undefined, refuse: Refuse): void {
  if (size !== undefined && dataEnd > size) {
    throw refuse(
      `it is truncated: it has ${size} bytes, and its header lists tensors up to byte ${dataEnd}`,
      WHOLE_FILE,
    );
  }
}
