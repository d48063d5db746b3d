import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Problem } from "../errors.ts";
import { UserError } from "../errors.ts";
import type { Settings } from "../settings/schema.ts";
import type { Patience } from "./byteSource.ts";
import { publishedSum } from "./byteSource.ts";
import { DEFAULT_MODEL, findModel } from "./catalogue.ts";
import { requireDownloader } from "./downloader.ts";
import { ENGINES } from "./engines.ts";
import type { ModelFacts } from "./inspect.ts";
import { inspectModel, isUrl } from "./inspect.ts";
import type { MemoryNeed } from "./memory.ts";
import { memoryNeed } from "./memory.ts";
import { servedName } from "./servedName.ts";

/** A model that was looked at and found fit to be served. */
export interface Model {
  /** The name that the API reports. */
  alias: string;
  /** Where the build gets it from. */
  source: { url: string } | { path: string };
  /** What the file's SHA-256 has to be: the setting, or else the catalogue's; undefined where nobody says. */
  sha256: string | undefined;
  facts: ModelFacts;
  /** Tokens per slot. */
  contextSize: number;
  /** What one replica needs. */
  memory: MemoryNeed;
}

/** The settings that decide about the model. */
export type ModelSettings = Partial<
  Pick<Settings, "model" | "modelUrl" | "modelSha256" | "modelAlias" | "modelToken" | "contextSize">
> &
  Pick<Settings, "engine" | "parallel">;

/** Tokens per slot unless `contextSize` says otherwise: what the 2B-4T model was trained with. */
const DEFAULT_CONTEXT = 4096;

/**
 * Finds the model that the settings name, reads its header and checks all that can be known before anything is built.
 * `modelUrl` goes before `model`, because every stack has a default `model`.
 * @throws UserError with what is wrong and what would be right
 */
export async function resolveModel(settings: ModelSettings, patience?: Patience): Promise<Model> {
  const { engine, parallel, modelToken: token } = settings;
  const named = settings.modelUrl === undefined ? findModel(settings.model ?? DEFAULT_MODEL) : undefined;
  const sha256 = settings.modelSha256 ?? named?.sha256;
  const location = settings.modelUrl ?? named?.url ?? "";
  const setting =
    named === undefined
      ? ({ key: "modelUrl", value: location } as const)
      : ({ key: "model", value: named.name } as const);
  if (token !== undefined && isUrl(location)) requireDownloader();
  const facts = await inspectModel({
    ...setting,
    location,
    engine,
    token,
    ...(patience === undefined ? {} : { patience }),
  });

  const problems = checkLimits(settings, facts);
  if (problems.length > 0) throw new UserError(...problems);
  if (sha256 !== undefined) await checkSum(location, sha256, token);

  const contextSize = settings.contextSize ?? Math.min(DEFAULT_CONTEXT, facts.contextLength);
  return {
    alias: settings.modelAlias ?? named?.name ?? servedName(location, facts.name),
    source: isUrl(location) ? { url: location } : { path: resolve(location) },
    sha256,
    facts,
    contextSize,
    memory: memoryNeed(facts, engine, contextSize, parallel),
  };
}

function checkLimits({ contextSize, parallel, engine }: ModelSettings, { contextLength }: ModelFacts): Problem[] {
  const problems: Problem[] = [];
  const { maxParallel } = ENGINES[engine];
  if (contextSize !== undefined && contextSize > contextLength) {
    const wrong = `the model was trained with ${contextLength} tokens`;
    problems.push({ key: "contextSize", value: contextSize, wrong, right: `at most ${contextLength}` });
  }
  if (parallel > maxParallel) {
    const wrong = `${engine} was shown to answer rightly with ${maxParallel} at once, and no more`;
    const right = `at most ${maxParallel}; for more requests at once, more replicas`;
    problems.push({ key: "parallel", value: parallel, wrong, right });
  }
  return problems;
}

/** Of a file on a server that does not state its sum, the build finds out. */
async function checkSum(location: string, expected: string, token: string | undefined): Promise<void> {
  const actual = isUrl(location) ? await publishedSum(new URL(location), token) : await fileSum(location);
  if (actual === undefined || actual === expected.toLowerCase()) return;
  const right = "the sum that the model's publisher states; if it is this one, the file is damaged: download it again";
  throw new UserError({ key: "modelSha256", value: expected, wrong: `the sum of ${location} is ${actual}`, right });
}

async function fileSum(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
