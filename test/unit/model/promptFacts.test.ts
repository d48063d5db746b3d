import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inspectModel } from "../../../components/model/inspect.ts";
import { promptFacts } from "../../../components/model/promptFacts.ts";
import { writeSyntheticModel } from "../../../tools/syntheticModel.ts";
import { placeholderTemplate, setChatTemplate } from "../../support/chatTemplate.ts";

describe("what a model's file says of its prompts", () => {
  let folder: string;
  let location: string;
  const inspect = async () => {
    const { prompt } = await inspectModel({ key: "modelUrl", value: location, location, engine: undefined });
    return prompt;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "prompt-"));
    location = join(folder, "model.gguf");
    await writeSyntheticModel(location);
  });

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test("its template, and the texts of its control tokens", async () => {
    const { chatTemplate, eosToken, specialTokens } = await inspect();
    expect(chatTemplate).toMatch(/^\{% for m in messages %}/);
    expect(specialTokens).toContain(eosToken);
    expect(chatTemplate).toContain(eosToken);
  });

  test("a model with Microsoft's placeholder has the template that it was trained with, as the server has", async () => {
    await setChatTemplate(location, placeholderTemplate);
    const { chatTemplate } = await inspect();
    expect(chatTemplate).toMatch(/^\{% for .*capitalize.*<\|eot_id\|>.*\{% endif %\}$/);
    expect(readFileSync("docker/server/runtime/trained-template.jinja", "utf8")).toBe(`${String(chatTemplate)}\n`);
  });
});

test("only control tokens are special: others are text, whatever they look like", () => {
  const metadata = new Map<string, unknown>([
    ["tokenizer.ggml.tokens", ["<unk>", "<s>", "</s>", "<b>", "a"]],
    // unknown, control, control, user-defined, normal
    ["tokenizer.ggml.token_type", [2, 3, 3, 4, 1]],
    ["tokenizer.ggml.bos_token_id", 1],
    ["tokenizer.ggml.eos_token_id", 2n],
  ]);
  expect(promptFacts(metadata)).toEqual({
    chatTemplate: undefined,
    bosToken: "<s>",
    eosToken: "</s>",
    specialTokens: ["<unk>", "<s>", "</s>"],
  });
});

test("what a file does not say, the gateway asks the engine", () => {
  const nothing = { chatTemplate: undefined, bosToken: undefined, eosToken: undefined, specialTokens: undefined };
  expect(promptFacts(new Map())).toEqual(nothing);
});
