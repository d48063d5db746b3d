import { randomUUID } from "node:crypto";

/** A part of docker.Image's `build.args`, and the option that goes with it. */
export interface BuildAgain {
  args: Record<string, string>;
  ignoreChanges: string[];
}

/**
 * docker.Image does not look whether its image still exists. An argument that no Dockerfile reads makes it build, and
 * push, once more where the image is gone; while it is there, whatever the argument was last stays. Builds are cached, so
 * mostly the same image comes out, and nothing that runs it is replaced.
 */
export function buildAgain(isThere: boolean): BuildAgain {
  return { args: { BUILT_FOR: randomUUID() }, ignoreChanges: isThere ? ["build.args.BUILT_FOR"] : [] };
}
