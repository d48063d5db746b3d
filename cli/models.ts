import { totalmem } from "node:os";
import Table from "cli-table3";
import Docker from "dockerode";
import { attempt } from "../components/errors.ts";
import { usableMemory } from "../components/docker/machine.ts";
import type { CatalogueModel } from "../components/model/catalogue.ts";
import { CATALOGUE, DEFAULT_MODEL } from "../components/model/catalogue.ts";
import { inspectModel } from "../components/model/inspect.ts";
import { memoryNeed } from "../components/model/memory.ts";
import { DEFAULT_CONTEXT } from "../components/model/model.ts";
import { gigabytes } from "./gigabytes.ts";

/** A row of `npm run models`. */
export interface ModelLine {
  name: string;
  /** The file's size in bytes; undefined if it is unknown. */
  size: number | undefined;
  /** Bytes that a replica with one slot of 4,096 tokens needs. */
  memory: number | undefined;
  /** Whether the memory was computed from the model's header; otherwise it is estimated from the file's size. */
  exact: boolean;
  /** Whether one replica fits here. */
  fits: boolean | undefined;
  engines: readonly string[];
  license: string;
}

/**
 * What a replica needs besides a file's length, where its header cannot be read: a context of 4,096 tokens, and what is
 * computed at a time. It is rather too high for the shapes of 2B-4T, Llama 3 8B and Falcon3-10B.
 */
const BESIDES_FILE = 750e6;

/** One attempt per header is enough, because the file's size serves as well. */
const impatient = { silence: 5000, pause: 100 };

/** @param available bytes that a replica may use here */
export async function describeModels(
  available: number,
  catalogue: readonly CatalogueModel[] = CATALOGUE,
): Promise<ModelLine[]> {
  return Promise.all(catalogue.map((model) => describeModel(model, available)));
}

async function describeModel(model: CatalogueModel, available: number): Promise<ModelLine> {
  const { name, url, engines, license } = model;
  const [engine] = engines;
  const { found } = await attempt(() =>
    inspectModel({ key: "model", value: name, location: url, engine, patience: impatient }),
  );
  const size = found?.fileSize ?? model.size;
  const context = Math.min(DEFAULT_CONTEXT, found?.contextLength ?? DEFAULT_CONTEXT);
  const needed = found === undefined || engine === undefined ? undefined : memoryNeed(found, engine, context, 1).total;
  const memory = needed ?? (size === undefined ? undefined : size + BESIDES_FILE);
  const fits = memory === undefined ? undefined : memory <= available;
  return { name, size, memory, exact: needed !== undefined, fits, engines, license };
}

/** The memory that replicas may use: of the Docker Engine's machine, or of this one if there is no engine. */
export async function availableMemory(): Promise<number> {
  const info = await attempt(async () => ((await new Docker().info()) as { MemTotal: number }).MemTotal).catch(() => ({
    found: undefined,
  }));
  return (info.found ?? totalmem()) * usableMemory;
}

/** The catalogue as a table. */
export function modelTable(lines: readonly ModelLine[], available: number): string {
  const head = ["model", "file", "memory", "fits here", "engine", "licence"];
  // No lines between the rows and no colours: it is read in a pipe as well.
  const table = new Table({ head, chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" }, style: PLAIN });
  for (const { name, size, memory, exact, fits, engines, license } of lines) {
    table.push([
      name === DEFAULT_MODEL ? `${name} (default)` : name,
      size === undefined ? "?" : gigabytes(size),
      memory === undefined ? "?" : `${exact ? "" : "≈ "}${gigabytes(memory)}`,
      fits === undefined ? "?" : fits ? "yes" : "no",
      engines.join(", "),
      license.replace(/ [(,].*|, .*/, ""),
    ]);
  }
  const notes = [
    `memory: of one replica with one slot of ${DEFAULT_CONTEXT.toLocaleString("en")} tokens; here replicas may use ${gigabytes(available)}`,
    ...(lines.some(({ exact, memory }) => !exact && memory !== undefined)
      ? ["≈ the model's header could not be read: from the file's length"]
      : []),
    "to serve one: npm run up -- --set model=NAME",
  ];
  return [table.toString(), ...notes].join("\n");
}

const PLAIN = { head: [], border: [] };
