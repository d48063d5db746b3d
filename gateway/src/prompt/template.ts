import { Template } from "@huggingface/jinja";
import type { Message } from "../contract/chatCompletions.ts";
import { engineFailed, invalidRequest } from "../errors.ts";

/** A model's chat template, applied as Hugging Face's libraries do. The engines support less of Jinja, or none. */
export class ChatTemplate {
  private readonly template: Template;
  private readonly tokens: { bos_token: string; eos_token: string };

  /** @param source Jinja */
  constructor(source: string, tokens: { bosToken: string; eosToken: string }) {
    try {
      this.template = new Template(source);
    } catch {
      throw engineFailed("The model's chat template is not valid; /v1/completions works without it.");
    }
    this.tokens = { bos_token: tokens.bosToken, eos_token: tokens.eosToken };
  }

  /**
   * The text that the model goes on from.
   * @throws ApiError 400 with the template's own words if it has no place for these roles in this order
   */
  render(messages: readonly Message[]): string {
    try {
      return this.template.render({ messages, add_generation_prompt: true, ...this.tokens });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw invalidRequest(`The model's chat template does not take these messages: ${reason}`, "messages");
    }
  }
}
