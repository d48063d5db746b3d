import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { checkout } from "../cli/paths.ts";
import type { Progress } from "../cli/progress.ts";
import type { SyntheticModelOptions } from "../tools/syntheticModel.ts";
import { answersOf } from "../tools/answerProgram.ts";
import { writeSyntheticModel } from "../tools/syntheticModel.ts";

const options: SyntheticModelOptions = { size: "tiny", words: 200, name: "bitnet-synthetic-tiny" };
const smokePrompt = "Which digit is in this prompt: 7?";

/** The model's settings in the stack `offline`: path, name, and expected answer. */
export const generatedModel = {
  modelUrl: ".tools/models/tiny.gguf",
  modelAlias: "bitnet-synthetic-tiny",
  smokePrompt,
  smokeAnswer: answersOf(options).expected(smokePrompt),
} as const;

/** Generates the model if it does not exist: 1.5 MB. It repeats the digit of a prompt, then writes 200 words. */
export async function ensureModel(progress: Progress): Promise<void> {
  const file = join(checkout, generatedModel.modelUrl);
  if (existsSync(file)) return;
  await progress.run("model: generating a tiny BitNet model that repeats a digit", async () => {
    await mkdir(dirname(file), { recursive: true });
    await writeSyntheticModel(`${file}.part`, options);
    await rename(`${file}.part`, file);
  });
}
