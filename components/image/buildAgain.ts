import { randomUUID } from "node:crypto";

/** Part of docker.Image's `build.args`, and the matching option. */
export interface BuildAgain {
  args: Record<string, string>;
  ignoreChanges: string[];
}

/**
 * docker.Image does not check whether its image still exists. If the image is gone, an argument that no Dockerfile
 * reads makes it build and push once more; while the image exists, the argument keeps its last value. Builds are
 * cached, so usually the same image results, and nothing that runs it is replaced.
 */
export function buildAgain(isThere: boolean): BuildAgain {
  return { args: { BUILT_FOR: randomUUID() }, ignoreChanges: isThere ? ["build.args.BUILT_FOR"] : [] };
}
