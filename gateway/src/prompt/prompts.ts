import type { Message } from "../contract/chatCompletions.ts";
import type { Prompt } from "../contract/completions.ts";
import type { Config } from "../config.ts";
import { invalidRequest } from "../errors.ts";
import type { Model, ModelFacts } from "../upstream/model.ts";
import { SpecialTokens, tokensInTemplate } from "./specialTokens.ts";
import { ChatTemplate } from "./template.ts";

/**
 * The longest text of a token, in bytes: Llama 3's vocabulary has one of 128 spaces. A text longer than the context times
 * this cannot fit, whatever it says, and need not be tokenized to find that out.
 */
const longestToken = 128;

/** Turns requests into prompt tokens for the engine, and checks that they fit. */
export class Prompts {
  private readonly model: Model;
  private readonly config: Config;
  private chat: { facts: ModelFacts; template: ChatTemplate; special: SpecialTokens } | undefined;

  constructor(model: Model, config: Config) {
    this.model = model;
    this.config = config;
  }

  /** A conversation, in the model's template. */
  async ofMessages(messages: readonly Message[]): Promise<number[]> {
    this.checkLength(
      messages.map(({ content }) => content),
      "messages",
    );
    const { facts, template, special } = await this.prepared();
    const { mark, cut } = await special.marked(messages.map(({ content }) => content));
    const text = template.render(messages.map(({ role, content }) => ({ role, content: cut(content) })));
    const first = facts.addsBos && !startsWith(text, facts.bosToken);
    const tokens = await this.tokenize(text.split(mark), first);
    return this.fitting(tokens, "messages");
  }

  /** A text as it is, special tokens and all; or tokens. */
  async ofPrompt(prompt: Prompt): Promise<number[]> {
    if (typeof prompt !== "string") return this.fitting(await this.checkNumbers(prompt), "prompt");
    this.checkLength([prompt], "prompt");
    return this.fitting(await this.tokenize([prompt], true), "prompt");
  }

  /** Tokens that an answer may have at the most: one place of the context stays free, or the engine shifts it. */
  room(prompt: readonly number[]): number {
    return this.config.contextSize - prompt.length - 1;
  }

  private async tokenize(pieces: readonly string[], addSpecial: boolean): Promise<number[]> {
    const [only = "", ...more] = pieces;
    return this.model.tokenize(more.length === 0 ? only : pieces, addSpecial);
  }

  private async prepared() {
    const facts = await this.model.known();
    if (this.chat?.facts !== facts) {
      const tokens = this.config.specialTokens ?? tokensInTemplate(facts.chatTemplate);
      const special = new SpecialTokens([...tokens, facts.bosToken, facts.eosToken], (pieces) =>
        this.model.tokenize(pieces),
      );
      this.chat = { facts, template: new ChatTemplate(facts.chatTemplate, facts), special };
    }
    return this.chat;
  }

  private async checkNumbers(prompt: readonly number[]): Promise<number[]> {
    const { vocabularySize } = await this.model.known();
    if (prompt.some((token) => token >= vocabularySize)) {
      throw invalidRequest(`Invalid value for 'prompt': the model's tokens are 0 to ${vocabularySize - 1}.`, "prompt");
    }
    return [...prompt];
  }

  private checkLength(texts: readonly string[], param: string): void {
    const bytes = texts.reduce((total, text) => total + Buffer.byteLength(text), 0);
    const leastTokens = Math.ceil(bytes / longestToken);
    if (leastTokens > this.config.contextSize) throw this.tooLong(`at least ${leastTokens}`, param);
  }

  private fitting(tokens: number[], param: string): number[] {
    if (tokens.length === 0) throw invalidRequest(`Invalid value for '${param}': it is empty.`, param);
    if (this.room(tokens) < 1) throw this.tooLong(String(tokens.length), param);
    return tokens;
  }

  private tooLong(tokens: string, param: string) {
    const message =
      `This model's maximum context length is ${this.config.contextSize} tokens. ` +
      `However, your ${param} resulted in ${tokens} tokens. Please reduce the length of the ${param}.`;
    return invalidRequest(message, param, "context_length_exceeded");
  }
}

function startsWith(text: string, token: string): boolean {
  return token !== "" && text.startsWith(token);
}
