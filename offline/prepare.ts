import type { Progress } from "../cli/progress.ts";
import type { StackText } from "../cli/stackSettings.ts";
import { baseImage, ensureBaseImage } from "./baseImage.ts";
import { engineSource, ensureEngineSource } from "./engineSource.ts";
import { ensureModel, generatedModel } from "./model.ts";

/** Prepares whatever a stack names of what stands in for a download, on whatever network. */
export async function prepareSources(stack: StackText, progress: Progress): Promise<void> {
  await Promise.all([
    stack.get("baseImage") === baseImage ? ensureBaseImage(progress) : undefined,
    stack.get("engineRepo") === engineSource ? ensureEngineSource(progress) : undefined,
    stack.get("modelUrl") === generatedModel.modelUrl ? ensureModel(progress) : undefined,
  ]);
}
