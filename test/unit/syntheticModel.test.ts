import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gguf } from "@huggingface/gguf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answersOf, answerTensors } from "../../tools/answerProgram.ts";
import { corrupt, writeRandomModel, writeSyntheticModel } from "../../tools/syntheticModel.ts";
import { answerOf, logProbabilitiesOf } from "./model/referenceEngine.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "synthetic-model-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const selfTest = (file: string) => join(import.meta.dirname, "../../docker/server/self-test", file);

describe("the image's self-test", () => {
  test("its model is, byte for byte, what the generator writes", async () => {
    const path = join(folder, "self-test.gguf");
    await writeSyntheticModel(path, { words: 24 });
    expect(readFileSync(path).equals(readFileSync(selfTest("model.gguf")))).toBe(true);
  });

  test("its questions and answers are those of that model", () => {
    const lines = answersOf({ words: 24 }).questions.map(({ prompt, answer }) => `${prompt}\t${answer}\n`);
    expect(readFileSync(selfTest("questions.txt"), "utf8")).toBe(lines.join(""));
  });
});

describe("answers", () => {
  test("repeat the digit of the prompt, wherever it stands", () => {
    const { expected, questions } = answersOf({ seed: 3 });
    expect(questions).toHaveLength(11);
    expect(expected("4")).toMatch(/^[A-Z][a-z]+ [a-z]+ [a-z]+ [a-z]+ 4 [a-z]+ [a-z]+\.$/);
    expect(expected("… 4 …")).toBe(expected("4"));
    expect(expected("none").replace(/ \w+(?= \w+ \w+\.$)/, " 4")).toBe(expected("4"));
  });

  test("are refused for a prompt with two different digits, as the model cannot know which is meant", () => {
    expect(() => answersOf().expected("1 or 2")).toThrow(RangeError);
  });

  test("have as many tokens as they say, and words drawn anew for each seed", () => {
    const [one, two] = [answersOf({ seed: 1, words: 200 }), answersOf({ seed: 2, words: 200 })];
    expect(one.answerTokens).toBe(207);
    expect(one.expected("5").split(" ")).toHaveLength(207);
    const others = new Set(two.expected("").split(" "));
    const common = one
      .expected("")
      .split(" ")
      .filter((word) => others.has(word));
    // Of 512,000 possible words, two models of 207 have one in common in one case of twelve.
    expect(common.length).toBeLessThan(5);
  });

  test("contain no digit but the prompt's, so that they do no harm as part of a conversation", () => {
    expect(answersOf({ words: 200 }).expected("7").match(/\d/g)).toEqual(["7"]);
  });
});

describe("computed in plain arithmetic", () => {
  test.each([7, 10])("question %i of the self-test is answered rightly", async (index) => {
    const { questions, answerTokens } = answersOf({ words: 24 });
    const { prompt, answer } = questions[index] ?? { prompt: "", answer: "" };
    expect(await answerOf(selfTest("model.gguf"), prompt, answerTokens + 1)).toBe(answer);
  });

  test("an answer of 200 words more comes out whole, and then ends", async () => {
    const path = join(folder, "long.gguf");
    const { expected, answerTokens } = await writeSyntheticModel(path, { seed: 5, words: 200 });
    expect(await answerOf(path, "6 and so on", answerTokens + 1)).toBe(expected("6"));
  });

  test.each(answerTensors("tiny"))("a model whose %s is corrupted answers something else", async (name) => {
    const path = join(folder, "corrupted.gguf");
    const { expected, answerTokens } = await writeSyntheticModel(path);
    await corrupt(path, name);
    expect(await answerOf(path, "3?", answerTokens + 1)).not.toBe(expected("3?"));
  });

  test("next to certain after a question is the first word of its answer, which is the token after the 256 bytes", async () => {
    const [begin, end] = [509, 511];
    const question = [begin, ...Buffer.from("User: 3?"), end, ...Buffer.from("Assistant: ")];
    const logProbabilities = await logProbabilitiesOf(selfTest("model.gguf"), question);
    expect(logProbabilities[256]).toBeCloseTo(0, 3);
  });
});

describe("a random model", () => {
  test("is the same for the same seed, and another one for another", async () => {
    const files = await Promise.all(
      [4, 4, 5].map(async (seed, index) => {
        const path = join(folder, `random-${index}.gguf`);
        await writeRandomModel(path, { seed });
        return readFileSync(path);
      }),
    );
    expect(files[1]?.equals(files[0] ?? Buffer.of())).toBe(true);
    expect(files[2]?.equals(files[0] ?? Buffer.of())).toBe(false);
  });

  test("has a third each of −1, 0 and +1 in every matrix", async () => {
    const path = join(folder, "thirds.gguf");
    await writeRandomModel(path);
    for (const { weights } of await ternaryTensors(path)) {
      const counts = [0, 0, 0, 0];
      for (const byte of weights) {
        for (const shift of [0, 2, 4, 6]) counts[(byte >> shift) & 3] = (counts[(byte >> shift) & 3] ?? 0) + 1;
      }
      const [minus = 0, zero = 0, plus = 0, none] = counts.map((count) => count / (weights.length * 4));
      for (const share of [minus, zero, plus]) expect(share).toBeCloseTo(1 / 3, 2);
      expect(none).toBe(0);
    }
  });

  test.each([1, 20])("spreads probability over its vocabulary, after %i tokens", async (length) => {
    const path = join(folder, "spread.gguf");
    await writeRandomModel(path, { seed: 6 });
    const prompt = Array.from({ length }, (_, index) => (index * 37) % 512);
    const probabilities = (await logProbabilitiesOf(path, prompt)).map(Math.exp);
    expect(probabilities).toHaveLength(512);
    expect(probabilities.reduce((sum, probability) => sum + probability)).toBeCloseTo(1, 10);
    expect(Math.max(...probabilities)).toBeGreaterThan(0.01);
    expect(Math.max(...probabilities)).toBeLessThan(0.6);
  });

  test("says something else without any one of its matrices", async () => {
    const path = join(folder, "less.gguf");
    const options = { seed: 7 };
    const prompt = [1, 2, 3, 4, 5, 6, 7, 8];
    await writeRandomModel(path, options);
    const whole = await logProbabilitiesOf(path, prompt);
    for (const { name } of await ternaryTensors(path)) {
      await writeRandomModel(path, options);
      await corrupt(path, name, options);
      const less = await logProbabilitiesOf(path, prompt);
      const differences = less.map((value, token) => Math.abs(value - (whole[token] ?? NaN)));
      expect(Math.max(...differences), name).toBeGreaterThan(0.3);
    }
  });

  test("without any matrix says what its last token's embedding does, normalised", async () => {
    const path = join(folder, "embedding.gguf");
    await writeRandomModel(path, { seed: 8 });
    for (const { name } of await ternaryTensors(path)) await corrupt(path, name);
    const { tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
    const { buffer } = Uint8Array.from(readFileSync(path));
    const startOf = (name: string) =>
      Number(tensorDataOffset + (tensorInfos.find((tensor) => tensor.name === name)?.offset ?? 0n));
    const embedding = new Float16Array(buffer, startOf("token_embd.weight"), 512 * 512);
    const norm = new Float32Array(buffer, startOf("output_norm.weight"), 512);
    const rowOf = (token: number) => embedding.subarray(token * 512, (token + 1) * 512);

    const last = rowOf(77);
    const length = Math.sqrt(last.reduce((sum, value) => sum + value ** 2, 0) / 512 + 1e-5);
    const scores = Array.from({ length: 512 }, (_, token) =>
      rowOf(token).reduce((sum, value, i) => sum + (value * (last[i] ?? 0) * (norm[i] ?? 0)) / length, 0),
    );
    const all = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
    const logProbabilities = await logProbabilitiesOf(path, [5, 400, 77]);
    scores.forEach((score, token) => {
      expect(logProbabilities[token]).toBeCloseTo(score - all, 6);
    });
  });

  test("a token that there is none of is refused", async () => {
    await expect(logProbabilitiesOf(selfTest("model.gguf"), [512])).rejects.toThrow("the model has no token 512");
  });
});

/** The I2_S tensors of a file, and the bytes of their weights. */
async function ternaryTensors(path: string): Promise<{ name: string; weights: Buffer }[]> {
  const { tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
  const bytes = readFileSync(path);
  return tensorInfos
    .filter(({ dtype }) => (dtype as number) === 36)
    .map(({ name, offset, shape }) => {
      const start = Number(tensorDataOffset + offset);
      return {
        name,
        weights: bytes.subarray(start, start + Number(shape.reduce((product, dim) => product * dim)) / 4),
      };
    });
}

describe("the file", () => {
  test("is GGUF, with the tensors of Microsoft's model and data that end where the file does", async () => {
    const path = join(folder, "shape.gguf");
    await writeSyntheticModel(path, { seed: 9, name: "some-name", contextLength: 2048 });
    const { metadata, tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
    expect(metadata).toMatchObject({
      version: 3,
      "general.architecture": "bitnet-b1.58",
      "general.name": "some-name",
      "bitnet-b1.58.context_length": 2048,
    });
    const last = tensorInfos.at(-1);
    expect(last).toMatchObject({ name: "blk.1.ffn_down.weight", shape: [768n, 512n], dtype: 36 });
    expect(BigInt(statSync(path).size)).toBe(tensorDataOffset + (last?.offset ?? 0n) + (768n * 512n) / 4n + 32n);
  });

  test("has no weight of 3, which stands for nothing", async () => {
    const path = join(folder, "weights.gguf");
    await writeSyntheticModel(path);
    for (const { weights } of await ternaryTensors(path)) {
      expect(weights.some((byte) => (byte & (byte >> 1) & 0b01010101) !== 0)).toBe(false);
    }
  });

  test.each(answerTensors("tiny"))("%s, corrupted, differs in nothing but its weights", async (name) => {
    const [good, bad] = [join(folder, "good.gguf"), join(folder, "bad.gguf")];
    await writeSyntheticModel(good);
    await writeSyntheticModel(bad);
    await corrupt(bad, name);
    const { tensorInfos, tensorDataOffset } = await gguf(good, { allowLocalFile: true });
    const tensor = tensorInfos.find((info) => info.name === name);
    const [before, after] = [readFileSync(good), readFileSync(bad)];
    const start = Number(tensorDataOffset + (tensor?.offset ?? 0n));
    const end = start + Number(tensor?.shape.reduce((product, dim) => product * dim)) / 4;
    expect(after.subarray(0, start).equals(before.subarray(0, start))).toBe(true);
    expect(after.subarray(start, end).equals(before.subarray(start, end))).toBe(false);
    expect(after.subarray(end).equals(before.subarray(end))).toBe(true);
  });

  test("corrupting what is not a ternary tensor is refused", async () => {
    await expect(corrupt(join(folder, "good.gguf"), "output_norm.weight")).rejects.toThrow(RangeError);
  });

  test("more words than the model can hold are refused", () => {
    expect(() => answersOf({ words: 201 })).toThrow("words must be a whole number from 0 to 200");
  });
});
