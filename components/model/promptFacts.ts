import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What a model's file says about how a conversation becomes tokens. Undefined: it says nothing. */
export interface PromptFacts {
  /** Jinja source. */
  chatTemplate: string | undefined;
  bosToken: string | undefined;
  eosToken: string | undefined;
  /** Texts that the tokenizer treats as control tokens wherever they appear. */
  specialTokens: readonly string[] | undefined;
}

/** Kinds of tokens that are not text: LLAMA_TOKEN_TYPE_UNKNOWN and _CONTROL in llama.h. */
const noText: readonly unknown[] = [2, 3];

/**
 * Microsoft's converter writes a placeholder for the chat template; docker/server/build/check-gguf.pl recognises it by
 * this, too.
 */
const placeholder = "BITNETAssistant";

/** The template that such a model was trained with; the server's container gets the same file. */
const trainedTemplate = join(import.meta.dirname, "../../docker/server/runtime/trained-template.jinja");

/** @param metadata of a GGUF's header: docs/gguf.md of ggml names the keys */
export function promptFacts(metadata: ReadonlyMap<string, unknown>): PromptFacts {
  const tokens = listOf(metadata.get("tokenizer.ggml.tokens"));
  const types = listOf(metadata.get("tokenizer.ggml.token_type"));
  const special = tokens.filter((token, index) => isText(token) && noText.includes(types[index])) as string[];
  return {
    chatTemplate: templateOf(metadata.get("tokenizer.chat_template")),
    bosToken: tokenAt(tokens, metadata.get("tokenizer.ggml.bos_token_id")),
    eosToken: tokenAt(tokens, metadata.get("tokenizer.ggml.eos_token_id")),
    specialTokens: special.length === 0 ? undefined : special,
  };
}

function templateOf(given: unknown): string | undefined {
  if (!isText(given)) return undefined;
  return given.includes(placeholder) ? readFileSync(trainedTemplate, "utf8").trimEnd() : given;
}

function tokenAt(tokens: readonly unknown[], id: unknown): string | undefined {
  const token = typeof id === "number" || typeof id === "bigint" ? tokens[Number(id)] : undefined;
  return isText(token) ? token : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
