import { randomInt } from "node:crypto";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { tools } from "../../cli/paths.ts";
import { corrupt, writeRandomModel } from "../../tools/syntheticModel.ts";
import { buildImage } from "./image/build.ts";
import { docker, replicaRights } from "./support/docker.ts";
import { compareLogProbabilities, promptLengths, tolerance } from "./support/logProbabilities.ts";
import { freePort, isHealthy } from "./support/net.ts";

const image = "bitnet-server-test-log-probabilities";
const options = { seed: randomInt(2 ** 31) };
let folder: string;
let model: string;
let container: string;
let url: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tools, "log-probabilities-"));
  model = join(folder, `random-${options.seed}.gguf`);
  await writeRandomModel(model, options);
  const { succeeded, output } = await buildImage({ files: { model }, tag: image });
  if (!succeeded) throw new Error(output);
  const port = await freePort();
  // What a random model says makes no sense, and the entrypoint would end a server for that.
  const run = ["run", "--detach", ...replicaRights, "--env=SMOKE_PROMPT=", `--publish=127.0.0.1:${port}:8080`, image];
  container = (await execa("docker", run)).stdout;
  url = `http://127.0.0.1:${port}`;
  await vi.waitUntil(() => isHealthy(url), { timeout: 60_000 });
});

afterAll(async () => {
  await docker.getContainer(container).remove({ force: true });
  await execa("docker", ["rmi", image], { reject: false });
  await rm(folder, { recursive: true });
});

describe(`log-probabilities of a random model (seed ${options.seed})`, () => {
  test.each(promptLengths)("are those of plain arithmetic after %i tokens", async (length) => {
    const { largestDifference, choiceBehind } = await compareLogProbabilities(url, model, length);
    expect(largestDifference).toBeLessThan(tolerance);
    // Two tokens that are nearer to each other than twice the tolerance may change places.
    expect(choiceBehind).toBeLessThan(2 * tolerance);
  });

  test("are not those of a model with one matrix less", async () => {
    const damaged = join(folder, "damaged.gguf");
    await copyFile(model, damaged);
    await corrupt(damaged, "blk.1.attn_output.weight", options);
    const { largestDifference } = await compareLogProbabilities(url, damaged, 20);
    expect(largestDifference).toBeGreaterThan(tolerance);
  });
});
