import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Checked, Problem } from "../errors.ts";
import { attempt, UserError } from "../errors.ts";
import type { Patience } from "./byteSource.ts";
import { publishedSum } from "./byteSource.ts";
import type { CatalogueModel } from "./catalogue.ts";
import { CATALOGUE, DEFAULT_MODEL, findModel } from "./catalogue.ts";
import { requireDownloader } from "./downloader.ts";
import type { Engine } from "./engines.ts";
import type { ModelFacts } from "./inspect.ts";
import { inspectModel, isUrl } from "./inspect.ts";
import type { MemoryNeed } from "./memory.ts";
import { memoryNeed } from "./memory.ts";
import { servedName } from "./servedName.ts";

/** A model that has been checked and can be served. */
export interface Model {
  /** The model's name in the API. */
  alias: string;
  /** Where the build takes it from. */
  source: { url: string } | { path: string };
  /** The file's expected SHA-256: from the setting, or else the catalogue; undefined if neither has one. */
  sha256: string | undefined;
  facts: ModelFacts;
  /** Tokens per slot. */
  contextSize: number;
  /** The memory need of one replica that answers this many requests at once. */
  memoryNeed: (slots: number) => MemoryNeed;
}

/** The settings that determine the model. Without an engine, only the file is checked. */
export interface ModelSettings {
  model?: string | undefined;
  modelUrl?: string | undefined;
  modelSha256?: string | undefined;
  modelAlias?: string | undefined;
  modelToken?: string | undefined;
  contextSize?: number | undefined;
  engine?: Engine | undefined;
}

/** Default tokens per slot, unless `contextSize` is set: the context with which the 2B-4T model was trained. */
export const DEFAULT_CONTEXT = 4096;

/**
 * Finds the model that the settings name, reads its header and checks everything that can be known before anything is
 * built. `modelUrl` takes precedence over `model`.
 */
export async function resolveModel(settings: ModelSettings, patience?: Patience): Promise<Checked<Model>> {
  const { engine, modelToken: token } = settings;
  const named = await attempt(() => catalogueModel(settings));
  if (named.problems.length > 0) return { found: undefined, problems: named.problems };
  const location = settings.modelUrl ?? named.found?.url ?? "";
  const sha256 = settings.modelSha256 ?? named.found?.sha256;
  const setting =
    named.found === undefined
      ? ({ key: "modelUrl", value: location } as const)
      : ({ key: "model", value: named.found.name } as const);
  const [downloader, inspected] = await Promise.all([
    attempt(() => {
      if (token !== undefined && isUrl(location)) requireDownloader();
    }),
    attempt(() =>
      inspectModel({ ...setting, location, engine, token, ...(patience === undefined ? {} : { patience }) }),
    ),
  ]);
  const { found: facts } = inspected;
  const problems = [
    ...downloader.problems,
    ...inspected.problems,
    ...(facts === undefined ? [] : checkContext(settings, facts)),
    ...(facts === undefined ? [] : await checkSum(location, sha256, token)),
  ];
  if (facts === undefined || engine === undefined) return { found: undefined, problems };

  const contextSize = Math.min(settings.contextSize ?? DEFAULT_CONTEXT, facts.contextLength);
  const found: Model = {
    alias: settings.modelAlias ?? named.found?.name ?? servedName(location, facts.name),
    source: isUrl(location) ? { url: location } : { path: resolve(location) },
    sha256,
    facts,
    contextSize,
    memoryNeed: (slots) => memoryNeed(facts, engine, contextSize, slots),
  };
  return { found, problems };
}

function catalogueModel({ model, modelUrl, engine }: ModelSettings): CatalogueModel | undefined {
  if (modelUrl !== undefined) return undefined;
  const found = findModel(model ?? DEFAULT_MODEL);
  if (engine === undefined || found.engines.includes(engine)) return found;
  const others = CATALOGUE.filter(({ engines }) => engines.includes(engine)).map(({ name }) => name);
  throw new UserError({
    key: "model",
    value: found.name,
    wrong: `the engine ${engine} does not run it`,
    right: `engine: ${found.engines.join(" or ")}; or, with ${engine}, one of ${others.join(", ")}`,
  });
}

function checkContext({ contextSize }: ModelSettings, { contextLength }: ModelFacts): Problem[] {
  if (contextSize === undefined || contextSize <= contextLength) return [];
  const wrong = `the model was trained with ${contextLength} tokens`;
  return [{ key: "contextSize", value: contextSize, wrong, right: `at most ${contextLength}` }];
}

/** If a server does not state its file's checksum, the build finds out. */
async function checkSum(location: string, expected: string | undefined, token: string | undefined): Promise<Problem[]> {
  if (expected === undefined) return [];
  const actual = isUrl(location) ? await publishedSum(new URL(location), token) : await fileSum(location);
  if (actual === undefined || actual === expected.toLowerCase()) return [];
  const right = "the sum that the model's publisher states; if it is this one, the file is damaged: download it again";
  return [{ key: "modelSha256", value: expected, wrong: `the sum of the model's file is ${actual}`, right }];
}

async function fileSum(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
