import { copyFile, open, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSyntheticModel } from "../../../tools/syntheticModel.ts";

/** Files that are no BitNet model, by what is wrong with them. */
export type BrokenModels = Readonly<
  Record<
    | "safetensors"
    | "empty"
    | "threeBytes"
    | "truncated"
    | "version1"
    | "bigEndian"
    | "hugeCount"
    | "alignment64"
    | "llama",
    string
  >
>;

/**
 * Makes them from a good one.
 * @param folder where to write them
 */
export async function breakModels(good: string, folder: string): Promise<BrokenModels> {
  const path = (name: string) => join(folder, name);
  const safetensors = path("model.safetensors");
  const header = Buffer.from(JSON.stringify({ weight: { dtype: "F16", shape: [1], data_offsets: [0, 2] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await writeFile(safetensors, Buffer.concat([length, header, Buffer.alloc(2)]));

  const empty = path("empty.gguf");
  await writeFile(empty, "");
  const threeBytes = path("three-bytes.gguf");
  await writeFile(threeBytes, "GGU");
  const truncated = path("truncated.gguf");
  await copyFile(good, truncated);
  await truncate(truncated, Math.floor((await stat(good)).size * 0.9));
  const llama = path("llama-q4_k_m.gguf");
  await writeSyntheticModel(llama, { architecture: "llama", weightType: "Q4_K" });

  // A key is followed by its value's kind, 32 bits, and its value.
  const alignment = (await readFile(good)).indexOf("general.alignment") + "general.alignment".length + 4;
  // A GGUF file starts with "GGUF", its version (32 bits) and its number of tensors (64 bits).
  return {
    ...{ safetensors, empty, threeBytes, truncated, llama },
    version1: await patch(good, path("version-1.gguf"), 4, Buffer.of(1, 0, 0, 0)),
    bigEndian: await patch(good, path("big-endian.gguf"), 4, Buffer.of(0, 0, 0, 3)),
    hugeCount: await patch(good, path("huge-count.gguf"), 8, Buffer.of(0, 0, 0, 0, 0, 0, 0, 0x10)),
    alignment64: await patch(good, path("alignment-64.gguf"), alignment, Buffer.of(64, 0, 0, 0)),
  };
}

async function patch(good: string, path: string, at: number, bytes: Buffer): Promise<string> {
  await copyFile(good, path);
  const file = await open(path, "r+");
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
  return path;
}
