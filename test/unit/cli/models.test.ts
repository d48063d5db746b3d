import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeModels, modelTable } from "../../../cli/models.ts";
import type { CatalogueModel } from "../../../components/model/catalogue.ts";
import { writeSyntheticModel } from "../../../tools/syntheticModel.ts";

let folder: string;
let readable: CatalogueModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "models-"));
  const url = join(folder, "model.gguf");
  await writeSyntheticModel(url);
  readable = { name: "bitnet-b1.58-2B-4T", url, engines: ["bitnet.cpp", "ik_llama.cpp"], license: "MIT", source: "" };
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const unreachable = {
  url: "/nowhere.gguf",
  engines: ["bitnet.cpp"],
  license: "A License (see there)",
  source: "",
} as const;

describe("npm run models", () => {
  test("says what a model needs by its header, and whether that fits here", async () => {
    const [line] = await describeModels(1e9, [readable]);
    const size = statSync(readable.url).size;
    expect(line).toMatchObject({ size, exact: true, fits: true, engines: ["bitnet.cpp", "ik_llama.cpp"] });
    // Two layers' context of 4,096 tokens and the program's own memory, on top of the weights.
    expect(line?.memory).toBeGreaterThan(size + 256 * 2 ** 20);
    const [onLess] = await describeModels(1e8, [readable]);
    expect(onLess).toMatchObject({ fits: false });
  });

  test("takes a guess from the file's length where the header cannot be read, and none where nobody says it", async () => {
    const [sized, unsized] = await describeModels(1.5e9, [
      { ...unreachable, name: "sized", size: 1e9 },
      { ...unreachable, name: "unsized" },
    ]);
    expect(sized).toMatchObject({ size: 1e9, memory: 1.75e9, exact: false, fits: false });
    expect(unsized).toMatchObject({ size: undefined, memory: undefined, fits: undefined });
  });

  test("prints a table that says which is a guess and which is the default", async () => {
    const catalogue = [readable, { ...unreachable, name: "sized", size: 1e9 }, { ...unreachable, name: "unsized" }];
    const lines = modelTable(await describeModels(1.5e9, catalogue), 1.5e9).split("\n");
    const cells = (name: string) =>
      lines
        .find((line) => line.includes(` ${name} `))
        ?.split("│")
        .map((cell) => cell.trim());
    expect(cells("bitnet-b1.58-2B-4T (default)")?.slice(4, 7)).toEqual(["yes", "bitnet.cpp, ik_llama.cpp", "MIT"]);
    expect(cells("sized")?.slice(2, 7)).toEqual(["1.0 GB", "≈ 1.8 GB", "no", "bitnet.cpp", "A License"]);
    expect(cells("unsized")?.slice(2, 5)).toEqual(["?", "?", "?"]);
    expect(lines.join("\n")).toContain("here replicas may use 1.5 GB");
    expect(lines.join("\n")).not.toContain("\u001b");
  });
});
