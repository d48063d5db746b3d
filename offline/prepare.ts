import type { Progress } from "../cli/progress.ts";
import type { StackText } from "../cli/stackSettings.ts";
import { baseImage, ensureBaseImage } from "./baseImage.ts";
import { engineSource, ensureEngineSource } from "./engineSource.ts";
import { ensureModel, generatedModel } from "./model.ts";

/** What stands in for a download: the value of the setting that names it, and what makes it. */
const prepared = {
  baseImage: { value: baseImage, ensure: ensureBaseImage },
  engineRepo: { value: engineSource, ensure: ensureEngineSource },
  modelUrl: { value: generatedModel.modelUrl, ensure: ensureModel },
};

type Prepared = keyof typeof prepared;

/** The settings of a stack that name what `up` makes on this machine: it need not be there yet. */
export function preparedSettings(stack: StackText): Prepared[] {
  return (Object.keys(prepared) as Prepared[]).filter((key) => stack.get(key) === prepared[key].value);
}

/** Prepares whatever a stack names of what stands in for a download, on whatever network. */
export async function prepareSources(stack: StackText, progress: Progress): Promise<void> {
  await Promise.all(preparedSettings(stack).map((key) => prepared[key].ensure(progress)));
}
