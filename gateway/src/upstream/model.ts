import { z } from "zod";
import type { Config } from "../config.ts";
import type { UpstreamClient } from "./client.ts";

/** What the gateway has to know of the model, and the engine knows. */
export interface ModelFacts {
  /** Jinja source. */
  chatTemplate: string;
  bosToken: string;
  eosToken: string;
  /** Whether the tokenizer begins a text with the BOS token by itself. */
  addsBos: boolean;
  /** Tokens are numbered from 0 to one less than this. */
  vocabularySize: number;
}

const props = z.object({
  chat_template: z.string().optional(),
  bos_token: z.string().optional(),
  eos_token: z.string().optional(),
});
const models = z.object({
  data: z.array(z.object({ id: z.string(), meta: z.object({ n_vocab: z.number() }) })).min(1),
});
const tokens = z.object({ tokens: z.array(z.number()) });
const content = z.object({ content: z.string() });

/**
 * Asks once, when first needed, and again if that failed, or if it was another model's replica that answered: one that is
 * being replaced.
 */
export class Model {
  private facts: Promise<ModelFacts> | undefined;
  private readonly client: UpstreamClient;
  private readonly config: Config;

  constructor(client: UpstreamClient, config: Config) {
    this.client = client;
    this.config = config;
  }

  /** @throws ApiError if no engine answers */
  known(): Promise<ModelFacts> {
    this.facts ??= this.ask().catch((error: unknown) => {
      this.facts = undefined;
      throw error;
    });
    return this.facts;
  }

  /** Text as tokens; what spells a special token becomes that token, in both engines. */
  async tokenize(text: string | readonly string[], addSpecial = false): Promise<number[]> {
    const body = { content: text, add_special: addSpecial };
    return (await this.client.json(tokens, "/tokenize", { body })).tokens;
  }

  private async ask(): Promise<ModelFacts> {
    // One after the other: llama-server has few threads for HTTP, and each connection keeps one for 5 s.
    const known = await this.client.json(props, "/props");
    const list = await this.client.json(models, "/v1/models");
    if (list.data[0]?.id !== this.config.model) this.facts = undefined;
    const start = await this.tokenize("", true);
    // bitnet.cpp does not say how its BOS token is written.
    const bosText =
      known.bos_token ??
      (start.length === 0 ? "" : (await this.client.json(content, "/detokenize", { body: { tokens: start } })).content);
    return {
      chatTemplate: this.config.chatTemplate ?? known.chat_template ?? "",
      bosToken: this.config.bosToken ?? bosText.trim(),
      eosToken: this.config.eosToken ?? known.eos_token ?? "",
      addsBos: start.length > 0,
      vocabularySize: list.data[0]?.meta.n_vocab ?? 0,
    };
  }
}
