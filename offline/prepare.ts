import type { Progress } from "../cli/progress.ts";
import type { StackText } from "../cli/stackSettings.ts";
import { baseImage, ensureBaseImage } from "./baseImage.ts";
import { engineSource, ensureEngineSource } from "./engineSource.ts";
import { ensureModel, generatedModel } from "./model.ts";

/** A replacement for a download: the value of its setting, and the function that creates it. */
const prepared = {
  baseImage: { value: baseImage, ensure: ensureBaseImage },
  engineRepo: { value: engineSource, ensure: ensureEngineSource },
  modelUrl: { value: generatedModel.modelUrl, ensure: ensureModel },
};

type Prepared = keyof typeof prepared;

/** The settings of a stack whose files `up` creates on this machine; they need not exist yet. */
export function preparedSettings(stack: StackText): Prepared[] {
  return (Object.keys(prepared) as Prepared[]).filter((key) => stack.get(key) === prepared[key].value);
}

/** Creates every replacement for a download that a stack names, on any network. */
export async function prepareSources(stack: StackText, progress: Progress): Promise<void> {
  await Promise.all(preparedSettings(stack).map((key) => prepared[key].ensure(progress)));
}
