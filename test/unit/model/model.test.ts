import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { checkout } from "../../../cli/paths.ts";
import type { Problem } from "../../../components/errors.ts";
import { CATALOGUE, DEFAULT_MODEL, findModel } from "../../../components/model/catalogue.ts";
import { ENGINE_NAMES } from "../../../components/model/engines.ts";
import { imageWeights, memoryNeed, memoryProblem } from "../../../components/model/memory.ts";
import type { ModelFacts } from "../../../components/model/inspect.ts";
import type { Model, ModelSettings } from "../../../components/model/model.ts";
import { resolveModel } from "../../../components/model/model.ts";
import { writeSyntheticModel } from "../../../tools/syntheticModel.ts";
import { serveRange, startWebServer } from "./webServer.ts";

let folder = "";
let path = "";
let sha256 = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "resolve-model-"));
  path = join(folder, "some model (1).gguf");
  await writeSyntheticModel(path, { contextLength: 2048, name: "" });
  sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function problems(resolving: ReturnType<typeof resolveModel>): Promise<readonly Problem[]> {
  return (await resolving).problems;
}

/** A model that nothing is wrong with. */
async function modelOf(settings: ModelSettings): Promise<Model> {
  const { found, problems: wrong } = await resolveModel(settings);
  expect(wrong).toEqual([]);
  if (found === undefined) throw new Error("a model was expected");
  return found;
}

const engine = "bitnet.cpp";

describe("the catalogue", () => {
  test("has the default model, and Llama 3 from eugenehp", () => {
    expect(findModel(DEFAULT_MODEL).url).toBe(
      "https://huggingface.co/microsoft/bitnet-b1.58-2B-4T-gguf/resolve/a1f2f1c765812aa8af3f6eda4a313707064bba15/ggml-model-i2_s.gguf",
    );
    expect(findModel("Llama3-8B-1.58-100B-tokens").url).toBe(
      "https://huggingface.co/eugenehp/Llama3-8B-1.58-100B-tokens-GGUF/resolve/main/ggml-model-i2_s.gguf",
    );
  });

  test("names for every model an https URL of a GGUF, a licence and the page it was read from", () => {
    for (const { url, license, source } of CATALOGUE) {
      expect(url).toMatch(/^https:\/\/.*\.gguf$/);
      expect(source).toMatch(/^https:\/\//);
      expect(license).not.toBe("");
    }
    expect(new Set(CATALOGUE.map(({ name }) => name.toLowerCase())).size).toBe(CATALOGUE.length);
  });

  test("pins every model by its revision or by its sum, but for those of which neither was found", () => {
    const pinned = CATALOGUE.filter(({ url, sha256 }) => /\/resolve\/[0-9a-f]{40}\//.test(url) || sha256 !== undefined);
    const others = CATALOGUE.filter((entry) => !pinned.includes(entry)).map(({ name }) => name);
    expect(others).toEqual(["Llama3-8B-1.58-100B-tokens"]);
    for (const { sha256, size } of pinned) {
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(size).toBeGreaterThan(200e6);
    }
  });

  test("has as its default what docker/server/Dockerfile has", () => {
    const dockerfile = readFileSync(join(checkout, "docker/server/Dockerfile"), "utf8");
    expect(dockerfile).toContain(`ARG MODEL_URL=${findModel(DEFAULT_MODEL).url}\n`);
  });

  test("says of every model which engines run it: the default runs on each", () => {
    expect(CATALOGUE.filter(({ engines }) => engines.length === 0)).toEqual([]);
    expect(findModel(DEFAULT_MODEL).engines).toEqual(ENGINE_NAMES);
    expect(findModel("Falcon-E-1B-Instruct").engines).toEqual(["bitnet.cpp"]);
    expect(findModel("Bonsai-8B").engines).toEqual(["ik_llama.cpp"]);
  });

  test("a model that the engine does not run is refused before anything is fetched, with what would do", async () => {
    const [problem, ...others] = await problems(resolveModel({ model: "Bonsai-8B", engine: "bitnet.cpp" }));
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ key: "model", value: "Bonsai-8B", wrong: "the engine bitnet.cpp does not run it" });
    expect(problem?.right).toMatch(/^engine: ik_llama.cpp; or, with bitnet.cpp, one of bitnet-b1.58-2B-4T, /);
    expect(problem?.right).not.toMatch(/one of .*Bonsai/);
  });

  test("finds a model whatever the case", () => {
    expect(findModel("BitNet-b1.58-2b-4t").name).toBe("bitnet-b1.58-2B-4T");
  });

  test.each([
    ["bitnet-b1.58-2B-4", "did you mean bitnet-b1.58-2B-4T?"],
    ["Falcon3-7B-Instruct-1.58", "did you mean Falcon3-7B-Instruct-1.58bit?"],
    ["gpt", "one of bitnet-b1.58-2B-4T, "],
  ])("refuses %s and suggests the nearest", async (model, right) => {
    const [problem] = await problems(resolveModel({ model, engine }));
    expect(problem).toMatchObject({ key: "model", value: model, wrong: "the catalogue has no model of this name" });
    expect(problem?.right).toContain(right);
    expect(problem?.right).toContain("set modelUrl");
  });
});

describe("a resolved model", () => {
  test("is named after its file where nothing else names it, and gets the context it was trained with", async () => {
    const model = await modelOf({ modelUrl: path, engine });
    expect(model).toMatchObject({
      alias: "some-model-1",
      source: { path },
      contextSize: 2048,
      facts: { contextLength: 2048 },
    });
    // 2 layers × 2 × 2048 tokens × 2 heads × 128 × (key and value) × 2 bytes
    expect(model.memoryNeed(2).kvCache).toBe(2 * 2 * 2048 * 2 * 128 * 2 * 2);
  });

  test("has the alias and the context that were set, and the sum", async () => {
    const settings = { modelUrl: path, modelAlias: "mine", modelSha256: sha256, contextSize: 512 };
    const model = await modelOf({ ...settings, engine });
    expect(model).toMatchObject({ alias: "mine", contextSize: 512 });
  });

  test("from a URL with a token has the token nowhere in it", async () => {
    const server = await startWebServer(serveRange(readFileSync(path)));
    try {
      const url = `${server.url}/model.gguf`;
      const model = await modelOf({ modelUrl: url, modelToken: "sesame", engine });
      expect(model.source).toEqual({ url });
      expect(JSON.stringify(model)).not.toContain("sesame");
    } finally {
      await server.close();
    }
  });
});

describe("refused before anything is built", () => {
  test("a wrong sha256 of a local file", async () => {
    const modelSha256 = "0".repeat(64);
    const [problem] = await problems(resolveModel({ modelUrl: path, modelSha256, engine }));
    expect(problem).toMatchObject({ key: "modelSha256", value: modelSha256 });
    expect(problem?.wrong).toContain(sha256);
    expect(problem?.right).toContain("download it again");
  });

  test("a wrong sha256 of a URL whose server states the sum, as Hugging Face does in its redirect", async () => {
    const file = serveRange(readFileSync(path));
    const server = await startWebServer((request, response) => {
      if (request.url !== "/model.gguf") file(request, response);
      else response.writeHead(302, { location: "/stored", "x-linked-etag": `"${sha256}"` }).end();
    });
    try {
      const settings = { modelUrl: `${server.url}/model.gguf`, engine } as const;
      await modelOf({ ...settings, modelSha256: sha256.toUpperCase() });
      const modelSha256 = "0".repeat(64);
      const [problem] = await problems(resolveModel({ ...settings, modelSha256 }));
      expect(problem).toMatchObject({ key: "modelSha256", value: modelSha256 });
      expect(problem?.wrong).toContain(sha256);
    } finally {
      await server.close();
    }
  });

  test("a model of the catalogue whose server states another sum than the catalogue's", async () => {
    const file = serveRange(readFileSync(path));
    const server = await startWebServer((request, response) => {
      response.setHeader("x-linked-etag", `"${sha256}"`);
      file(request, response);
    });
    const { fetch } = globalThis;
    vi.stubGlobal("fetch", (_: unknown, init: RequestInit) => fetch(server.url, init));
    try {
      const [problem] = await problems(resolveModel({ model: DEFAULT_MODEL, engine }));
      expect(problem).toMatchObject({ key: "modelSha256", value: findModel(DEFAULT_MODEL).sha256 });
      expect(problem?.wrong).toContain(sha256);
    } finally {
      vi.unstubAllGlobals();
      await server.close();
    }
  });

  test("a contextSize above the model's, and a wrong sum, both at once", async () => {
    const modelSha256 = "0".repeat(64);
    const found = await problems(
      resolveModel({ modelUrl: path, modelSha256, engine: "ik_llama.cpp", contextSize: 2049 }),
    );
    expect(found).toMatchObject([
      { key: "contextSize", value: 2049, wrong: "the model was trained with 2048 tokens", right: "at most 2048" },
      { key: "modelSha256" },
    ]);
  });

  test("a file that is no model, even where the engine is not known yet", async () => {
    expect(await problems(resolveModel({ modelUrl: "package.json" }))).toMatchObject([{ key: "modelUrl" }]);
    expect(await resolveModel({ modelUrl: path })).toEqual({ found: undefined, problems: [] });
  });
});

describe("memory", () => {
  // microsoft/bitnet-b1.58-2B-4T; a few tensors stand for all.
  const facts: ModelFacts = {
    architecture: "bitnet-b1.58",
    name: undefined,
    contextLength: 4096,
    layers: 30,
    width: 2560,
    heads: 20,
    kvHeads: 5,
    headWidth: 128,
    vocabulary: 128256,
    ternaryType: "I2_S",
    prompt: { chatTemplate: undefined, bosToken: undefined, eosToken: undefined, specialTokens: undefined },
    tensors: [
      { name: "token_embd.weight", type: "F16", dims: [2560, 128256] },
      { name: "output_norm.weight", type: "F32", dims: [2560] },
      { name: "blk.0.attn_q.weight", type: "I2_S", dims: [2560, 2560] },
    ],
    fileSize: 1_187_801_280,
  };

  test("of the 2B-4T model: 300 MiB of context, and the 255.5 MiB that ik_llama.cpp prints", () => {
    const need = memoryNeed(facts, "bitnet.cpp", 4096, 1);
    expect(need.kvCache).toBe(300 * 2 ** 20);
    expect(need.compute).toBe(255.5 * 2 ** 20);
    expect(need.total).toBe(need.weights + need.kvCache + need.compute + need.overhead);
  });

  test("of ik_llama.cpp's context: 8.5 bits for each key and value, or 16 where its attention reads no others", () => {
    const need = memoryNeed(facts, "ik_llama.cpp", 4096, 1);
    expect(need.kvCache).toBe((300 * 2 ** 20 * 8.5) / 16);
    const odd = memoryNeed({ ...facts, headWidth: 100 }, "ik_llama.cpp", 4096, 1);
    expect(odd.kvCache).toBe((300 * 2 ** 20 * 100) / 128);
  });

  test("grows with contextSize × parallel", () => {
    expect(memoryNeed(facts, "bitnet.cpp", 2048, 4).kvCache).toBe(memoryNeed(facts, "bitnet.cpp", 4096, 2).kvCache);
    expect(memoryNeed(facts, "bitnet.cpp", 32768, 1).compute).toBeGreaterThan(21 * 32768 * 512 * 4);
  });

  test("of weights as the image's build makes them: 2 bits, the engine's scales, and a Q6_K embedding", () => {
    const [embedding, norm, quarter] = [(2560 / 256) * 210 * 128256, 2560 * 4, 2560 * (2560 / 4)];
    expect(imageWeights(facts, "bitnet.cpp")).toBe(embedding + norm + quarter + 32);
    expect(imageWeights(facts, "ik_llama.cpp")).toBe(embedding + norm + quarter + 2560 * 4);
  });

  test("of a model in Q1_0, which no build changes: 18 bytes for 128 weights, the embedding's too", () => {
    const tensors = facts.tensors.map((tensor) => (tensor.type === "F32" ? tensor : { ...tensor, type: "Q1_0" }));
    const bonsai: ModelFacts = { ...facts, architecture: "qwen3", ternaryType: "Q1_0", tensors };
    const weights = 2560 * 128256 + 2560 * 2560;
    expect(imageWeights(bonsai, "ik_llama.cpp")).toBe((weights / 128) * 18 + 2560 * 4);
  });

  test("of rows that no block of Q6_K divides: a Q8_0 embedding", () => {
    const tensors = [{ name: "token_embd.weight", type: "F16", dims: [3200, 32000] }];
    expect(imageWeights({ ...facts, tensors }, "bitnet.cpp")).toBe((3200 / 32) * 34 * 32000);
  });

  test.each([
    ["as it is", "Q4_K", 144],
    ["of a type that the image's build makes Q6_K of", "IQ4_XS", 210],
  ])("of an embedding that is smaller than Q6_K already: %s", (_, type, bytes) => {
    const tensors = [{ name: "token_embd.weight", type, dims: [2560, 128256] }];
    expect(imageWeights({ ...facts, tensors }, "bitnet.cpp")).toBe((2560 / 256) * bytes * 128256);
  });

  test("of an embedding that is the output matrix as well: twice in memory; with a matrix of its own, once each", () => {
    const embedding = (2560 / 256) * 210 * 128256;
    const [tied, image] = [memoryNeed(facts, "ik_llama.cpp", 4096, 1).weights, imageWeights(facts, "ik_llama.cpp")];
    expect(tied).toBe(image + embedding);
    const output = { name: "output.weight", type: "F16", dims: [2560, 128256] };
    const untied = { ...facts, tensors: [...facts.tensors, output] };
    expect(memoryNeed(untied, "ik_llama.cpp", 4096, 1).weights).toBe(image + embedding);
  });

  test("that suffices is no problem; too little says how many replicas fit", () => {
    const need = { weights: 2 ** 30, kvCache: 0, compute: 0, overhead: 0, total: 2 ** 30 };
    const where = "this machine";
    expect(memoryProblem(need, 2, { available: 2 ** 31, where })).toBeUndefined();
    expect(memoryProblem(need, 3, { available: 2 ** 31, where })).toEqual({
      key: "replicas",
      value: 3,
      wrong:
        "3 × 1,024 MiB (weights 1,024 MiB, context 0 MiB, computing 0 MiB) is more than the 2,048 MiB of this machine",
      right: "at most 2, a smaller contextSize, or more memory",
    });
    expect(memoryProblem(need, 1, { available: 1000, where })?.right).toContain("a smaller model or contextSize");
  });
});
