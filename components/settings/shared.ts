import type { z } from "zod";
import { apiKeys } from "./apiKeys.ts";
import { DEFAULT_MODEL } from "../model/catalogue.ts";
import type { Engine } from "../model/engines.ts";
import { ENGINE_NAMES, ENGINES } from "../model/engines.ts";
import { entry, flag, integer, list, oneOf, setting, text } from "./types.ts";

/** Each request's key is compared with all of them. */
const maxApiKeys = 50;

/** The settings of every target. */
export const sharedSettings = {
  model: setting(
    text(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "the name of a model in components/model/catalogue.ts").default(DEFAULT_MODEL),
    "The model to serve, by its name in the catalogue. `modelUrl` takes precedence.",
  ),
  modelUrl: setting(
    text(/^[^\r\n]+$/, "an http(s) URL, or the path of a GGUF file on this machine").optional(),
    "Any other BitNet model, as a GGUF file.",
  ),
  modelSha256: setting(
    text(/^[0-9a-f]{64}$/, "the file's SHA-256: 64 hexadecimal digits in lower case").optional(),
    "The checksum of the model's file. If unset, a model of the catalogue is checked against the catalogue, and any other is not checked.",
  ),
  modelAlias: setting(
    text(
      /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$/,
      "a name of up to 100 letters, digits, dots, dashes and slashes",
    ).optional(),
    "The model's name in the API. If unset, its name in the catalogue, its repository on Hugging Face, or the name in the GGUF file.",
  ),
  modelToken: setting(
    text(/^[A-Za-z0-9._~+/=-]+$/, "an access token: letters, digits and . _ ~ + / = -").optional(),
    "Access token for a gated or private model. It is used on this machine only, and never enters the image.",
    { secret: true },
  ),
  optimize: setting(
    flag().default(true),
    "true compiles for this CPU with -O3 and OpenMP, and locks the whole model in RAM. false builds a portable image.",
  ),
  engine: setting(
    oneOf(...ENGINE_NAMES).default("ik_llama.cpp"),
    "The project that llama-server is built from. docs/architecture.md compares the engines.",
  ),
  engineRepo: setting(
    text(/^\S+$/, "a git URL, or the path of a source tarball on this machine").optional(),
    "Where the engine's source comes from. If unset, the engine's own repository.",
  ),
  engineRef: setting(
    text(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, "a commit, tag or branch of engineRepo").optional(),
    "Which version of the engine to build. If unset, the commit that this project was tested with.",
  ),
  cpuTarget: setting(
    text(
      /^[a-z0-9][a-z0-9._+-]*$/,
      "native, or a name that the compiler's -march knows, such as x86-64-v3 or znver4",
    ).default("native"),
    "The instruction set to compile for. native is the CPU of this machine or of the instance type.",
  ),
  baseImage: setting(
    text(/^[a-z0-9][A-Za-z0-9._:/@-]*$/, "a Debian 13 image, such as debian:trixie-slim").default("debian:trixie-slim"),
    "The base of all images.",
  ),
  contextSize: setting(
    integer(256, 1_048_576).optional(),
    "Tokens in one conversation, prompt and answer together. If unset, 4096 or the model's limit, whichever is less.",
  ),
  parallel: setting(
    integer(1, 64).optional(),
    `Requests that one replica answers at once: up to ${ENGINE_NAMES.map((name) => `${ENGINES[name].maxParallel} with ${name}`).join(", ")}. ` +
      "If unset, 4 where the replica has two cores or more and memory for four conversations, otherwise as many as fit; 1 with bitnet.cpp.",
  ),
  threads: setting(
    integer(1, 1024).optional(),
    "Threads of one replica. If unset, one for each of its physical cores.",
  ),
  apiKeys: setting(
    apiKeys().default([]),
    `The keys that clients send as "Authorization: Bearer KEY", up to ${maxApiKeys}. Their names appear in the log and the metrics; ` +
      "keys in a list are named key-1, key-2, … A key can have the limits concurrentRequests, requestsPerMinute and tokensPerMinute, " +
      "which each gateway counts for itself. The output `apiKey` is the first key. " +
      "If unset, a key is generated, except on loopback, where none is needed.",
    { secret: true },
  ),
  corsOrigins: setting(
    list(
      entry(/^(\*|https?:\/\/[^\s/,]+)$/, "has an entry that is neither an origin nor *"),
      'a list of origins, such as ["https://app.example.com"], or ["*"]',
    ).optional(),
    "Origins of the web pages that may use the API. If unset, any if the stack has a key; otherwise only the chat page.",
  ),
  allowedHosts: setting(
    list(
      entry(/^(\*|[A-Za-z0-9.-]+|\[[0-9a-f:.]+\])$/, "has an entry that is neither a host's name nor *"),
      'a list of host names without a port, such as ["llm.example.com"], or ["*"]',
    ).optional(),
    "Host names under which clients reach the API; others are refused. If unset, any if the stack has a key; otherwise this machine's names.",
  ),
  smokePrompt: setting(
    text(/\S/, "a question of at least one character").default("Hello! How are you?"),
    "The question that each replica answers before it serves users. Every update also asks it through the load balancer at the end.",
  ),
  smokeAnswer: setting(
    text(/\S/, "the exact text of the answer").optional(),
    "Exact answer expected. If unset, any non-empty answer passes.",
  ),
  extraArgs: setting(
    list(
      entry(/^[^\r\n]*$/, "has an argument that is not text on one line"),
      'a list of llama-server arguments, such as ["--cache-reuse", "256"]',
    ).default([]),
    "Additional arguments for llama-server.",
  ),
};

export type SharedSettings = { [K in keyof typeof sharedSettings]: z.output<(typeof sharedSettings)[K]> };

/** Reports a setting that is wrong in combination with others. */
export type Refuse<Key extends string = string> = (key: Key, wrong: string, right: string) => void;

/** Checks that need several settings. Any may be missing: an invalid one has been reported already. */
export function checkShared(
  { engine, parallel, apiKeys: keys = [], extraArgs = [] }: Partial<SharedSettings>,
  refuse: Refuse<keyof SharedSettings>,
): void {
  if (engine !== undefined && parallel !== undefined) checkParallel(engine, parallel, refuse);
  if (keys.length > maxApiKeys) {
    refuse("apiKeys", `there are ${keys.length}`, `at most ${maxApiKeys}`);
  }
  // Without their values, one of which may be a secret.
  const names = extraArgs.map((argument) => argument.split("=", 1)[0] ?? "");
  const reserved = names.filter((name) => reservedArgs.has(withDashes(name)));
  if (reserved.length > 0) {
    const right = "other arguments; modelAlias, contextSize, parallel, threads and apiKeys are settings of their own";
    refuse("extraArgs", `the server's entrypoint sets ${reserved.join(", ")} itself`, right);
  }
}

function checkParallel(engine: Engine, parallel: number, refuse: Refuse<"parallel">): void {
  const { maxParallel } = ENGINES[engine];
  if (parallel <= maxParallel) return;
  const wrong = `${engine} is known to answer correctly only up to ${maxParallel} at once`;
  refuse("parallel", wrong, `at most ${maxParallel}; for more requests at once, more replicas`);
}

/**
 * llama-server arguments that the entrypoint sets itself, that would put a secret on a command line, or that would make
 * it serve another model, use more memory than calculated, or compute with more threads than it has cores. Without flash
 * attention the KV cache's type does not load.
 */
const reservedArgs: ReadonlySet<string> = new Set([
  ...["-m", "--model", "-mu", "--model-url", "-hfr", "--hf-repo", "-hff", "--hf-file", "-hft", "--hf-token"],
  ...["-a", "--alias", "--host", "--port", "-c", "--ctx-size", "-np", "--parallel"],
  ...["-t", "--threads", "-tb", "--threads-batch", "--threads-http"],
  ...["-b", "--batch-size", "-ub", "--ubatch-size", "-cram", "--cache-ram", "--mlock", "--no-mmap"],
  ...["-ctk", "--cache-type-k", "-ctv", "--cache-type-v", "-fa", "--flash-attn", "-no-fa", "--no-flash-attn"],
  ...["--api-key", "--api-key-file"],
]);

/** llama-server also accepts _ for -. */
function withDashes(name: string): string {
  return name.startsWith("--") ? name.replaceAll("_", "-") : name;
}
