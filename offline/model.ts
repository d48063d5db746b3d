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

/** What the stack `offline` says of its model: where it is, its name, and what it answers. */
export const generatedModel = {
  modelUrl: ".tools/models/tiny.gguf",
  modelAlias: "bitnet-synthetic-tiny",
  smokePrompt,
  smokeAnswer: answersOf(options).expected(smokePrompt),
} as const;

/** Makes the model unless it is there: 1.5 MB; it repeats the digit of a prompt, then says 200 words. */
export async function ensureModel(progress: Progress): Promise<void> {
  const file = join(checkout, generatedModel.modelUrl);
  if (existsSync(file)) return;
  await progress.run("model: generating a tiny BitNet model that repeats a digit", async () => {
    await mkdir(dirname(file), { recursive: true });
    await writeSyntheticModel(`${file}.part`, options);
    await rename(`${file}.part`, file);
  });
}
