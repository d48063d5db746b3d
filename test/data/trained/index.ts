/**
 * A small BitNet b1.58 that was trained on Jane Austen's novels (tools/train/train.py), and a passage of "Persuasion" that
 * it never saw. The novels are in the public domain.
 */
import { join } from "node:path";

/** Its file: linear layers in I2_S, embedding in F16. */
export const trainedModel = join(import.meta.dirname, "model.gguf");

/** Its text, its tokens behind the one that begins a text, and what PyTorch made of them, in 64 bits. */
export { default as heldOut } from "./held-out.json" with { type: "json" };
