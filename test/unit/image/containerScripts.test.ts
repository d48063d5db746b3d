import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSyntheticModel } from "../../../tools/syntheticModel.ts";
import { hidePreTokenizer, placeholderTemplate, setChatTemplate } from "../../support/chatTemplate.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "container-scripts-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What the build notes of a model. */
function factsOf(model: string): string[] {
  const env = { ...process.env, MODEL_URL: "model.gguf", ENGINE: "ik_llama.cpp" };
  return execFileSync("perl", ["docker/server/build/check-gguf.pl", model], { env, encoding: "utf8" })
    .trim()
    .split("\n");
}

/** Calls a function of docker/server/runtime/engine.sh. */
function engine(name: string, call: string): string[] {
  const script = `set -euo pipefail; . docker/server/runtime/engine.sh; ${call}`;
  return execFileSync("bash", ["-c", script], { env: { ...process.env, ENGINE: name }, encoding: "utf8" })
    .trim()
    .split("\n");
}

test("a model with Microsoft's placeholder for a chat template is known by it, and no other", async () => {
  const model = join(folder, "model.gguf");
  await writeSyntheticModel(model, { name: "test-model" });
  const facts = [
    "name=test-model",
    "context_length=4096",
    "weights=I2_S",
    "embedding=q6_K",
    "output=q6_K",
    "kv_cache=q8_0",
  ];
  expect(factsOf(model)).toEqual(facts);
  await setChatTemplate(model, placeholderTemplate);
  expect(factsOf(model)).toEqual([...facts, "chat_template=placeholder"]);
  await hidePreTokenizer(model);
  expect(factsOf(model)).toEqual([...facts, "chat_template=placeholder", "pre_tokenizer=missing"]);
});

/** A tiny model, of which one tensor is of another type, length of row or name. */
async function modelWith(tensor: string, { type, row, name = tensor }: { type: number; row: number; name?: string }) {
  const model = join(folder, "model.gguf");
  await writeSyntheticModel(model);
  const bytes = readFileSync(model);
  const start = bytes.indexOf(tensor);
  // The name's length and the name; the number of dimensions, the dimensions, the type.
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(name.length));
  const rest = bytes.subarray(start + tensor.length);
  rest.writeBigUInt64LE(BigInt(row), 4);
  rest.writeUInt32LE(type, 4 + 8 * rest.readUInt32LE(0));
  writeFileSync(
    model,
    Buffer.concat([bytes.subarray(0, start - 8), length, Buffer.from(name), rest, Buffer.alloc(32)]),
  );
  return model;
}

test.each([
  ["F16", 1, 512, "q6_K"],
  ["Q8_0", 8, 512, "q6_K"],
  ["Q4_K", 12, 512, "q4_K"],
  ["IQ4_XS", 23, 512, "q6_K"],
  ["F16, with rows that are no multiple of 256", 1, 384, "q8_0"],
  ["Q5_0, with such rows", 6, 384, "q5_0"],
])("an embedding becomes Q6_K, or Q8_0, unless it is smaller already: %s", async (_, type, row, becomes) => {
  const facts = factsOf(await modelWith("token_embd.weight", { type, row }));
  expect(facts).toEqual(expect.arrayContaining([`embedding=${becomes}`, `output=${becomes}`]));
});

test("an output matrix of its own has a type of its own", async () => {
  const output = { type: 12, row: 512, name: "output.weight" };
  const facts = factsOf(await modelWith("output_norm.weight", output));
  expect(facts).toEqual(expect.arrayContaining(["embedding=q6_K", "output=q4_K"]));
});

test("an alignment that the engines would end at is refused", async () => {
  const model = join(folder, "model.gguf");
  await writeSyntheticModel(model);
  const bytes = readFileSync(model);
  const int32 = 5;
  bytes.writeUInt32LE(int32, bytes.indexOf("general.alignment") + "general.alignment".length);
  writeFileSync(model, bytes);
  expect(() => factsOf(model)).toThrow("general.alignment of another kind than uint32");
});

test("a server is told how to split text where the model's file does not say it", () => {
  for (const name of ["ik_llama.cpp", "bitnet.cpp"]) {
    const args = engine(name, "engine_arguments true placeholder missing");
    expect(args[args.indexOf("--override-kv") + 1]).toBe("tokenizer.ggml.pre=str:llama-bpe");
    expect(engine(name, 'engine_arguments true placeholder ""')).not.toContain("--override-kv");
  }
});

test("ik_llama.cpp gets the template that such a model was trained with; bitnet.cpp has one of its own", () => {
  const trained =
    '{% for message in messages %}{{ message["role"] | capitalize + ": " + message["content"] | trim + "<|eot_id|>" }}' +
    '{% endfor %}{% if add_generation_prompt %}{{ "Assistant: " }}{% endif %}';
  const args = engine("ik_llama.cpp", "engine_arguments true placeholder");
  expect(args[args.indexOf("--chat-template") + 1]).toBe(trained);
  expect(engine("ik_llama.cpp", 'engine_arguments true ""')).not.toContain("--chat-template");
  expect(engine("bitnet.cpp", "engine_arguments true placeholder")).not.toContain("--chat-template");
});

test("ik_llama.cpp keeps keys and values in the type that suits the model; bitnet.cpp has its own default", () => {
  const args = engine("ik_llama.cpp", "engine_arguments true '' '' q8_0");
  expect(args[args.indexOf("--cache-type-k") + 1]).toBe("q8_0");
  expect(args[args.indexOf("--cache-type-v") + 1]).toBe("q8_0");
  expect(engine("bitnet.cpp", "engine_arguments true '' '' f16").join(" ")).not.toContain("cache-type");
});

test.each([
  ["a tiny model", 1_500_000, 2, 60],
  ["2B-4T on two cores", 800_000_000, 2, 206],
  ["a model of 10 billion parameters on one", 4_000_000_000, 1, 1522],
])(
  "a server hangs when it is silent for longer than a slow CPU takes for a batch: %s",
  (_, bytes, threads, seconds) => {
    expect(engine("bitnet.cpp", `hang_timeout ${bytes} ${threads}`)).toEqual([String(seconds)]);
  },
);
