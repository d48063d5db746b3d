/**
 * Writes what train.py has trained as a GGUF file, its linear layers in I2_S, and the held-out text beside it.
 *
 *     node tools/train/export.ts FOLDER-OF-TRAIN.PY OUT-FOLDER
 *
 * The weights come as a safetensors file (github.com/huggingface/safetensors): the length of a JSON header in eight bytes,
 * the header, then the tensors' bytes.
 */
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Tensor } from "../gguf.ts";
import { writeGguf } from "../gguf.ts";
import { modelMetadata } from "../modelMetadata.ts";
import { packedWhole } from "../tensorBytes.ts";

const safetensors = z.record(
  z.string(),
  z.object({
    dtype: z.enum(["I8", "F16", "F32"]),
    shape: z.array(z.number()),
    data_offsets: z.tuple([z.number(), z.number()]),
  }),
);

/** What train.py writes beside the weights; the shape in its own names. */
const facts = z.object({
  shape: z.object({
    vocabulary: z.number(),
    width: z.number(),
    feed_forward: z.number(),
    layers: z.number(),
    heads: z.number(),
    kv_heads: z.number(),
    context: z.number(),
    rope_base: z.number(),
  }),
  tokens: z.array(z.string()),
  merges: z.array(z.tuple([z.string(), z.string()])),
});

async function exportModel(from: string, to: string): Promise<void> {
  const { shape, tokens, merges } = facts.parse(JSON.parse(await readFile(join(from, "model.json"), "utf8")));
  await mkdir(to, { recursive: true });
  const metadata = modelMetadata({
    architecture: "bitnet-b1.58",
    name: "bitnet-austen",
    shape: { ...shape, feedForward: shape.feed_forward, kvHeads: shape.kv_heads },
    contextLength: shape.context,
    ropeBase: shape.rope_base,
    tokens,
    merges: merges.map((parts) => parts.join(" ")),
  });
  await writeGguf(join(to, "model.gguf"), metadata, tensorsOf(await readFile(join(from, "model.safetensors"))));
  await copyFile(join(from, "held-out.json"), join(to, "held-out.json"));
}

function tensorsOf(file: Buffer): Tensor[] {
  const start = 8 + Number(file.readBigUInt64LE());
  const header = safetensors.parse(JSON.parse(file.toString("utf8", 8, start)));
  const bytesOf = (name: string): Uint8Array<ArrayBuffer> => {
    const entry = header[name];
    if (entry === undefined) throw new RangeError(`the weights have no ${name}`);
    const [from, to] = entry.data_offsets;
    return Uint8Array.from(file.subarray(start + from, start + to));
  };
  const matrices = Object.entries(header).filter(([name]) => name.endsWith(".weight"));
  return matrices.map(([name, { dtype, shape }]) => {
    const dims = shape.toReversed();
    if (dtype !== "I8") return { name, dims, type: dtype, content: () => [bytesOf(name)] };
    const [scale = NaN] = new Float32Array(bytesOf(name.replace(/weight$/, "scale")).buffer);
    return { name, dims, type: "I2_S", content: () => packedWhole(new Int8Array(bytesOf(name).buffer), scale) };
  });
}

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) {
  console.error("usage: node tools/train/export.ts FOLDER-OF-TRAIN.PY OUT-FOLDER");
  process.exit(2);
}
await exportModel(from, to);
