import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tools } from "../../cli/paths.ts";
import type { RandomModelType } from "../../tools/randomModels.ts";
import { writeModelOf } from "../../tools/randomModels.ts";
import { buildImage } from "./image/build.ts";
import { compareLogProbabilities, promptLengths, tolerance } from "./support/logProbabilities.ts";
import type { ModelServer } from "./support/modelServer.ts";
import { startModelServer } from "./support/modelServer.ts";

// Models that do not come in I2_S: TriLM and its like (TQ1_0, TQ2_0), ik_llama.cpp's own (IQ2_BN), Bonsai (Q1_0).
const seed = randomInt(2 ** 31);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tools, "other-models-"));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe.each<RandomModelType>(["TQ1_0", "TQ2_0", "IQ2_BN", "Q1_0"])(
  "log-probabilities of a random %s model",
  (type) => {
    let model: string;
    let server: ModelServer | undefined;
    let url: string;

    beforeAll(async () => {
      model = join(folder, `${type}.gguf`);
      await writeModelOf(model, { type, seed });
      server = await startModelServer(model, `bitnet-server-test-${type.toLowerCase()}`);
      url = server.url;
    });

    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
    });

    test.each(promptLengths)(`are those of plain arithmetic after %i tokens (seed ${seed})`, async (length) => {
      const { largestDifference, choiceBehind } = await compareLogProbabilities(url, model, length);
      expect(largestDifference).toBeLessThan(tolerance);
      // Two tokens that are nearer to each other than twice the tolerance may change places.
      expect(choiceBehind).toBeLessThan(2 * tolerance);
    });

    test.each(["blk.0.attn_q", "blk.1.ffn_down"])("are not those of a model without %s", async (silent) => {
      const damaged = join(folder, "damaged.gguf");
      await writeModelOf(damaged, { type, seed, silent });
      const { largestDifference } = await compareLogProbabilities(url, damaged, 20);
      expect(largestDifference).toBeGreaterThan(tolerance);
    });
  },
);

test.each(["TQ1_0", "TQ2_0"] as const)(
  "%s with several scales in a row ends the build before it compiles",
  async (type) => {
    const model = join(folder, `two-scales-${type}.gguf`);
    await writeModelOf(model, { type, twoScales: true });
    const { succeeded, output } = await buildImage({ files: { model } });
    expect(succeeded).toBe(false);
    expect(output).toContain(
      `MODEL_URL=two-scales-${type}.gguf: it is not a model that can be served: a row of blk.0.attn_q.weight has blocks of different scales`,
    );
    expect(output).not.toContain("/build/build-engine.sh");
  },
);
