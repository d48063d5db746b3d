import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserError } from "../../../components/errors.ts";
import type { Engine } from "../../../components/model/engines.ts";
import { ENGINES } from "../../../components/model/engines.ts";
import { cacheType } from "../../../components/model/memory.ts";
import { inspectModel } from "../../../components/model/inspect.ts";
import { servedName } from "../../../components/model/servedName.ts";
import { uint32, uint64 } from "../../../tools/gguf.ts";
import type { RandomModelType } from "../../../tools/randomModels.ts";
import { writeModelOf } from "../../../tools/randomModels.ts";
import { writeSyntheticModel } from "../../../tools/syntheticModel.ts";

// The image guards itself where there is no Pulumi, by rules of its own in Perl: they are the same rules.
let folder: string;
let good: Buffer;
let random: Record<RandomModelType, Buffer>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "checkers-"));
  await writeSyntheticModel(join(folder, "good.gguf"), { name: "test-model", contextLength: 2048 });
  good = readFileSync(join(folder, "good.gguf"));
  const drawn = async (type: RandomModelType) => {
    await writeModelOf(join(folder, `${type}.gguf`), { type });
    return readFileSync(join(folder, `${type}.gguf`));
  };
  random = {
    TQ1_0: await drawn("TQ1_0"),
    TQ2_0: await drawn("TQ2_0"),
    IQ2_BN: await drawn("IQ2_BN"),
    Q1_0: await drawn("Q1_0"),
  };
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What a checker says of a file: what it is, or undefined where it is refused. */
type Verdict = { name: string; contextLength: number; weights: string; cache: string } | undefined;

async function program(path: string, engine: Engine): Promise<Verdict> {
  try {
    const facts = await inspectModel({ key: "modelUrl", value: path, location: path, engine });
    const { contextLength, ternaryType: weights } = facts;
    return {
      name: servedName(path, facts.name),
      contextLength,
      weights,
      cache: cacheType(facts, engine).toLowerCase(),
    };
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

async function image(path: string, engine: Engine): Promise<Verdict> {
  const env = { MODEL_URL: path, ENGINE: engine };
  const { exitCode, stdout, stderr } = await execa("perl", ["docker/server/build/check-gguf.pl", path], {
    env,
    reject: false,
  });
  if (exitCode !== 0) {
    expect(stderr).toMatch(/^MODEL_URL=.*: it is not a model that can be served: /s);
    return undefined;
  }
  const facts = Object.fromEntries(stdout.split("\n").map((line) => line.split("=")) as [string, string][]);
  const [name = "", weights = "", cache = ""] = [facts.name, facts.weights, facts.kv_cache];
  return { name, contextLength: Number(facts.context_length), weights, cache };
}

const kinds = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9, uint64: 10 } as const;
const text = (value: string) => Buffer.concat([uint64(Buffer.byteLength(value)), Buffer.from(value)]);
const key = (name: string, kind: number, value: Buffer) => Buffer.concat([text(name), uint32(kind), value]);

/** With keys in front of the others, and one more that keeps the data aligned. */
function withKeys(...keys: Buffer[]): Buffer {
  return keysInFront(good, keys);
}

/** Another value, perhaps of another length or kind, for a key. */
function replaced(name: string, kind: number, value: Buffer): Buffer {
  return keysInFront(without(name), [key(name, kind, value)]);
}

function keysInFront(model: Buffer, keys: readonly Buffer[]): Buffer {
  const length = keys.reduce((sum, { length }) => sum + length, 0);
  const filler = key("filler", kinds.string, text(""));
  const padding = (32 - ((length + filler.length) % 32)) % 32;
  const bytes = [
    model.subarray(0, 24),
    ...keys,
    key("filler", kinds.string, text(" ".repeat(padding))),
    model.subarray(24),
  ];
  const all = Buffer.concat(bytes);
  all.writeBigUInt64LE(all.readBigUInt64LE(16) + BigInt(keys.length + 1), 16);
  return all;
}

/** With something written over what begins so many bytes after a name. */
function after(name: string, offset: number, bytes: Buffer): Buffer {
  const all = Buffer.from(good);
  bytes.copy(all, all.indexOf(name) + name.length + offset);
  return all;
}

/** As if a key were not there: it has another name. */
const without = (name: string) => after(name, -1, Buffer.from("?"));
const value = (name: string, bytes: Buffer) => after(name, 4, bytes);
const at = (offset: number, bytes: Buffer) =>
  Buffer.concat([good.subarray(0, offset), bytes, good.subarray(offset + bytes.length)]);

/** Another type for the linear layers, for all or only for the first. */
function types(number: number, only = ""): Buffer {
  const all = Buffer.from(good);
  for (const { index, 0: name } of good
    .toString("latin1")
    .matchAll(/blk\.\d+\.(attn_(q|k|v|output)|ffn_(gate|up|down))\.weight/g)) {
    if (name.startsWith(only)) all.writeUInt32LE(number, index + name.length + 4 + 16);
  }
  return all;
}

const query = "blk.0.attn_q.weight";
const cases: Readonly<Record<string, () => Buffer>> = {
  "as it was made": () => good,
  "of version 2": () => at(4, uint32(2)),
  "with a key more": () => withKeys(key("more", kinds.uint32, uint32(1))),
  "with bytes after its end": () => Buffer.concat([good, Buffer.alloc(100)]),
  "without an alignment": () => without("general.alignment"),
  "with one part of one": () => withKeys(key("split.count", kinds.uint32, uint32(1))),
  empty: () => Buffer.alloc(0),
  "of three bytes": () => good.subarray(0, 3),
  "of 23 bytes": () => good.subarray(0, 23),
  "a web page": () => Buffer.from(" <!doctype html><p>Log in"),
  "a Git LFS pointer": () => Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
  safetensors: () => Buffer.concat([uint64(2), Buffer.from('{"a":{}}')]),
  "of another format": () => at(0, Buffer.from("GGML")),
  "of version 1": () => at(4, uint32(1)),
  "of version 4": () => at(4, uint32(4)),
  "big-endian": () => at(4, Buffer.of(0, 0, 0, 3)),
  "with more tensors than fit": () => at(8, uint64(2 ** 50)),
  "with more keys than fit": () => at(16, uint64(2 ** 50)),
  "with one tensor too many": () => at(8, uint64(25)),
  "with one key too many": () => at(16, uint64(Number(good.readBigUInt64LE(16)) + 1)),
  "cut in its header": () => good.subarray(0, 2000),
  "cut in its data": () => good.subarray(0, good.length - 4096),
  "of an unknown architecture": () => value("general.architecture", text("bitnet-b1.59")),
  "of an architecture that is a number": () => replaced("general.architecture", kinds.uint32, uint32(1)),
  "without an architecture": () => without("general.architecture"),
  "without a context length": () => without("bitnet-b1.58.context_length"),
  "with a context length of 0": () => value("bitnet-b1.58.context_length", uint32(0)),
  "without a number of layers": () => without("bitnet-b1.58.block_count"),
  "without a width": () => without("bitnet-b1.58.embedding_length"),
  "with heads of 64": () => value("bitnet-b1.58.attention.head_count", uint32(8)),
  "with heads of 32": () => value("bitnet-b1.58.attention.head_count", uint32(16)),
  "with a width of heads of its own": () =>
    withKeys(key("bitnet-b1.58.attention.key_length", kinds.uint32, uint32(80))),
  "without a number of heads": () => without("bitnet-b1.58.attention.head_count"),
  "with an alignment of 64": () => value("general.alignment", uint32(64)),
  "with an alignment of another kind": () => after("general.alignment", 0, uint32(kinds.int32)),
  "one part of two": () => withKeys(key("split.count", kinds.uint32, uint32(2))),
  "with a value of an unknown kind": () => withKeys(key("odd", 13, uint32(0))),
  "with a list of an unknown kind": () =>
    withKeys(key("odd", kinds.array, Buffer.concat([uint32(13), uint64(1), uint32(0)]))),
  "with a list that is longer than the file": () =>
    withKeys(key("odd", kinds.array, Buffer.concat([uint32(kinds.uint32), uint64(2 ** 40)]))),
  "with a text that is longer than the file": () => withKeys(key("odd", kinds.string, uint64(2 ** 40))),
  "with a name of several lines": () => replaced("general.name", kinds.string, text("a\nb\n")),
  "with a name of letters that are not safe": () =>
    replaced("general.name", kinds.string, text("../Ünsafe näme; rm -rf\0")),
  "with a name that is too long": () => replaced("general.name", kinds.string, text("x".repeat(200))),
  "with an empty name": () => replaced("general.name", kinds.string, text("")),
  "with a name that is a number": () => replaced("general.name", kinds.float32, uint32(0)),
  "with weights of type F16": () => types(1),
  "with weights of type TQ1_0": () => types(34),
  "with weights of type TQ2_0": () => types(35),
  "with weights of type TL1": () => types(38),
  "with weights of type MXFP4": () => types(39),
  "with weights of type NVFP4": () => types(40),
  "with weights of type Q1_0": () => types(41),
  "with weights of type Q2_0": () => types(42),
  "with weights of type PQ2_0": () => types(142),
  "with weights of type PTQ1_0": () => types(143),
  "with weights of type IQ1_BN": () => types(134),
  "with weights of type IQ2_BN": () => types(135),
  "with weights of a type that nobody knows": () => types(99),
  "with one layer of another type": () => types(1, "blk.0.attn_q."),
  "with one tensor of no dimensions": () => after(query, 0, uint32(0)),
  "with one tensor of five dimensions": () => after(query, 0, uint32(5)),
  "with one tensor larger than the file": () => after(query, 4 + 8, uint64(2 ** 40)),
  "with one tensor after the file's end": () => after(query, 4 + 16 + 4, uint64(2 ** 40)),
  "with an embedding of a ternary type": () => after("token_embd.weight", 4 + 16, uint32(35)),
  "with rotated weights": () => withKeys(key("prism.hadamard.block_size", kinds.uint32, uint32(128))),
  "of random weights in TQ1_0": () => random.TQ1_0,
  "of random weights in TQ2_0": () => random.TQ2_0,
  "of random weights in IQ2_BN": () => random.IQ2_BN,
  "of random weights in Q1_0, as Bonsai is": () => random.Q1_0,
  "of random weights in TQ1_0, cut": () => random.TQ1_0.subarray(0, -4096),
  "of random weights in Q1_0, cut": () => random.Q1_0.subarray(0, -4096),
  "with a tokenizer that ik_llama.cpp lacks": () => replaced("tokenizer.ggml.pre", kinds.string, text("falcon_e")),
};

describe.each(Object.keys(ENGINES) as Engine[])("for %s program and image say the same of a file", (engine) => {
  test.each(Object.keys(cases))("%s", async (name) => {
    const path = join(folder, `${engine}.gguf`);
    writeFileSync(path, cases[name]?.() ?? Buffer.alloc(0));
    const [ours, theirs] = [await program(path, engine), await image(path, engine)];
    expect(theirs).toEqual(ours);
    if (name === "as it was made") expect(ours).toMatchObject({ name: "test-model", weights: "I2_S" });
    const [, type] = /^of random weights in (\w+)(?:, as Bonsai is)?$/.exec(name) ?? [];
    if (type !== undefined && engine === "ik_llama.cpp") expect(ours?.weights).toBe(type);
  });
});

test.each([
  ["https://host/models/my-model.gguf?download=true&token=secret", undefined, "my-model"],
  ["https://host/models/my-model.gguf#part", "", "my-model"],
  ["https://huggingface.co/owner/Some-Model-GGUF/resolve/main/ggml-model-i2_s.gguf?download=true", "x", "Some-Model"],
  ["https://host/model.gguf?x=/secret", "its own\nname\n", "its-own-name"],
  ["/folder/what? a #file.gguf", undefined, "what-a-file"],
  ["https://host/?x=secret", undefined, "bitnet"],
])("the name of %j, which says that it is %j, is %s", async (location, name, expected) => {
  expect(servedName(location, name)).toBe(expected);
  const path = join(folder, "named.gguf");
  writeFileSync(path, replaced("general.name", kinds.string, text(name ?? "")));
  const { stdout } = await execa("perl", ["docker/server/build/check-gguf.pl", path], { env: { MODEL_URL: location } });
  expect(stdout.split("\n")[0]).toBe(`name=${expected}`);
});
