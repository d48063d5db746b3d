import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { tools } from "../../cli/paths.ts";
import type { RandomModelType } from "../../tools/randomModels.ts";
import { writeModelOf } from "../../tools/randomModels.ts";
import { buildImage } from "./image/build.ts";
import { docker, replicaRights } from "./support/docker.ts";
import { compareLogProbabilities, promptLengths, tolerance } from "./support/logProbabilities.ts";
import { freePort, isHealthy } from "./support/net.ts";

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
    const image = `bitnet-server-test-${type.toLowerCase()}`;
    let model: string;
    let container: string | undefined;
    let url: string;

    beforeAll(async () => {
      model = join(folder, `${type}.gguf`);
      await writeModelOf(model, { type, seed });
      const { succeeded, output } = await buildImage({ files: { model }, tag: image });
      if (!succeeded) throw new Error(output);
      const port = await freePort();
      // What a random model says makes no sense, and the entrypoint would end a server for that.
      const run = [
        "run",
        "--detach",
        ...replicaRights,
        "--env=SMOKE_PROMPT=",
        `--publish=127.0.0.1:${port}:8080`,
        image,
      ];
      container = (await execa("docker", run)).stdout;
      url = `http://127.0.0.1:${port}`;
      await vi.waitUntil(() => isHealthy(url), { timeout: 60_000 });
    });

    afterAll(async () => {
      if (container !== undefined) await docker.getContainer(container).remove({ force: true });
      await execa("docker", ["rmi", image], { reject: false });
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
