import { randomInt } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout, tools } from "../../cli/paths.ts";
import type { SyntheticModelOptions } from "../../tools/syntheticModel.ts";
import { answerTensors } from "../../tools/answerProgram.ts";
import { corrupt, writeSyntheticModel } from "../../tools/syntheticModel.ts";
import { buildContext, dockerBuild } from "./support/build.ts";

describe("the image's known-answer test, on a model drawn in this run", () => {
  const options: SyntheticModelOptions = { seed: randomInt(2 ** 31), words: 20 };
  let folder: string;
  let model: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tools, "known-answers-"));
    buildContext(folder, join(checkout, "docker/server/self-test/model.gguf"));
    model = join(folder, "self-test/model.gguf");
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test("passes", async () => {
    expect(await selfTest()).toMatchObject({ exitCode: 0 });
  });

  test.each(answerTensors("tiny"))("fails if %s is damaged", async (tensor) => {
    const { exitCode, all } = await selfTest(tensor);
    expect(exitCode).not.toBe(0);
    expect(all).toContain("a wrong answer to");
  });

  /** Builds the image as far as the stage that asks the questions, on CPU code that is compiled already. */
  async function selfTest(damaged?: string) {
    const { questions } = await writeSyntheticModel(model, options);
    const lines = questions.map(({ prompt, answer }) => `${prompt}\t${answer}\n`);
    await writeFile(join(folder, "self-test/questions.txt"), lines.join(""));
    if (damaged !== undefined) await corrupt(model, damaged, options);
    return dockerBuild(folder, { MODEL_URL: "model.gguf" }, ["--target", "tested"]);
  }
});
