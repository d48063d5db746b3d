import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gguf } from "@huggingface/gguf";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RandomModelsOptions } from "../../../tools/randomModels.ts";
import { writeModelOf } from "../../../tools/randomModels.ts";
import { matrixOf } from "../model/weightTypes.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pack-ternary-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function packed(options: RandomModelsOptions) {
  const [before, after] = [join(folder, "before.gguf"), join(folder, "after.gguf")];
  await writeModelOf(before, options);
  const script = "docker/server/build/pack-ternary.pl";
  const { exitCode, stderr } = await execa("perl", [script, before, after], {
    env: { MODEL_URL: "before.gguf" },
    reject: false,
  });
  return { before, after, exitCode, stderr };
}

/** By name each tensor's type, and its weights as numbers. */
async function tensorsOf(path: string) {
  const { tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
  const bytes = readFileSync(path);
  return tensorInfos.map(({ name, dtype, shape, offset }) => {
    const [columns = 0, rows = 1] = shape.map(Number);
    const data = new DataView(bytes.buffer, bytes.byteOffset + Number(tensorDataOffset + offset));
    return { name, type: dtype, weights: matrixOf({ type: dtype, columns, rows, bytes: data }) };
  });
}

describe.each(["TQ1_0", "TQ2_0"] as const)("the build's packing of %s as IQ2_BN", (type) => {
  test.each([undefined, "blk.0.ffn_up"])("changes no weight (zeros: %s)", async (silent) => {
    const { before, after, exitCode } = await packed({ type, seed: 3, ...(silent === undefined ? {} : { silent }) });
    expect(exitCode).toBe(0);
    const [was, is] = [await tensorsOf(before), await tensorsOf(after)];
    expect(is.map(({ name }) => name)).toEqual(was.map(({ name }) => name));
    expect(is.filter(({ name }) => name.includes("ffn_down")).map((tensor) => tensor.type)).toEqual([135, 135]);
    for (const [index, { name, weights }] of was.entries()) {
      const equal = weights.every((row, at) => row.every((weight, i) => weight === is[index]?.weights[at]?.[i]));
      expect(equal, name).toBe(true);
    }
  });

  test("refuses a row with several scales, which would change", async () => {
    const { exitCode, stderr } = await packed({ type, twoScales: true });
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain("a row of blk.0.attn_q.weight has blocks of different scales");
  });
});
