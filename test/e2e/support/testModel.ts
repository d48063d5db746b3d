import { randomInt } from "node:crypto";
import { join } from "node:path";
import type { SyntheticModelOptions } from "../../../tools/syntheticModel.ts";
import { answersOf } from "../../../tools/answerProgram.ts";
import { writeSyntheticModel } from "../../../tools/syntheticModel.ts";
import type { StackSettings } from "./testStack.ts";

/** A model whose words were drawn in this run: no answer can come from anywhere but the engine. */
export interface TestModel {
  path: string;
  name: string;
  options: SyntheticModelOptions;
  /** What it answers to a conversation that has this digit, and no other, in it. */
  answer(digit: number): string;
  /** How many tokens an answer has: over 200. */
  answerTokens: number;
  /** The settings of a stack that serves it from the file. */
  settings: StackSettings;
}

/** @param folder where to write it */
export async function drawModel(folder: string): Promise<TestModel> {
  const seed = randomInt(2 ** 31);
  const name = `drawn-${seed}`;
  const path = join(folder, `${name}.gguf`);
  const options: SyntheticModelOptions = { size: "tiny", words: 200, seed, name };
  await writeSyntheticModel(path, options);
  const { expected, answerTokens } = answersOf(options);
  const smokePrompt = "Which digit is in this prompt: 7?";
  return {
    path,
    name,
    options,
    answerTokens,
    answer: (digit) => expected(String(digit)),
    settings: { modelUrl: path, smokePrompt, smokeAnswer: expected(smokePrompt) },
  };
}
