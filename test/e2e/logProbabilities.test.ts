import { randomInt } from "node:crypto";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tools } from "../../cli/paths.ts";
import { corrupt, writeRandomModel } from "../../tools/syntheticModel.ts";
import { heldOut, trainedModel } from "../data/trained/index.ts";
import { compareLogProbabilities, perplexityBy, promptLengths, tolerance } from "./support/logProbabilities.ts";
import type { ModelServer } from "./support/modelServer.ts";
import { startModelServer } from "./support/modelServer.ts";

const options = { seed: randomInt(2 ** 31) };

describe(`log-probabilities of a random model (seed ${options.seed})`, () => {
  let folder: string;
  let model: string;
  let server: ModelServer | undefined;
  let url: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tools, "log-probabilities-"));
    model = join(folder, `random-${options.seed}.gguf`);
    await writeRandomModel(model, options);
    server = await startModelServer(model, "bitnet-server-test-log-probabilities");
    url = server.url;
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

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

describe("a trained model", () => {
  let server: ModelServer | undefined;
  let url: string;

  beforeAll(async () => {
    server = await startModelServer(trainedModel, "bitnet-server-test-trained");
    url = server.url;
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  test("gives the engine the perplexity that PyTorch got, within 1 %", async () => {
    const { tokens, perplexity } = heldOut;
    const ratio = (await perplexityBy(url, trainedModel, tokens)) / perplexity;
    expect(Math.abs(ratio - 1), `${ratio} times PyTorch's`).toBeLessThan(0.01);
  });

  test("makes the engine split a text into the tokens that it was trained on", async () => {
    const body = JSON.stringify({ content: heldOut.text });
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/tokenize`, { method: "POST", headers, body });
    expect(await response.json()).toEqual({ tokens: heldOut.tokens.slice(1) });
  });
});
