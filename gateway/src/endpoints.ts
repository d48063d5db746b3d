import { randomUUID } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { conversationHeaders, promptHeaders } from "./affinity.ts";
import type { Answering } from "./answering.ts";
import { chatForm } from "./answers/chat.ts";
import { completionForm } from "./answers/completion.ts";
import type { FormOptions } from "./answers/form.ts";
import { pageForm } from "./answers/page.ts";
import type { Config } from "./config.ts";
import { chatCompletions, type ChatCompletions } from "./contract/chatCompletions.ts";
import { completions, promptList, type Completions } from "./contract/completions.ts";
import { engineRequest } from "./contract/engineRequest.ts";
import { pageCompletion } from "./contract/pageCompletion.ts";
import { answerSchema } from "./contract/responseFormat.ts";
import { validate } from "./contract/validate.ts";
import { notFound, unavailable } from "./errors.ts";
import type { Prompts } from "./prompt/prompts.ts";

/** What each endpoint does: validate the request, build the engine's request, choose how to write the answer. */
export class Endpoints {
  /** /health then says so: HAProxy sends requests to another gateway. */
  stopping = false;
  private readonly config: Config;
  private readonly prompts: Prompts;
  private readonly answering: Answering;
  /** Made once: making one takes longer than all else that is done for a request. */
  private readonly schemas: { chat: z.ZodType<ChatCompletions>; completion: z.ZodType<Completions> };
  private readonly startedAt = Math.floor(Date.now() / 1000);

  constructor(config: Config, prompts: Prompts, answering: Answering) {
    this.config = config;
    this.prompts = prompts;
    this.answering = answering;
    this.schemas = { chat: chatCompletions(config), completion: completions(config) };
  }

  readonly chat = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const body = validate(this.schemas.chat, request.body);
    const prompt = await this.prompts.ofMessages(body.messages);
    request.account.promptTokens = prompt.length;
    const length = this.answerLength(prompt, body.max_completion_tokens ?? body.max_tokens);
    const logprobs = body.logprobs === true ? (body.top_logprobs ?? 0) : undefined;
    const schema = answerSchema(body.response_format) ?? body.json_schema ?? undefined;
    const probabilities = numberOfProbabilities(logprobs);
    const requests = Array.from({ length: body.n ?? 1 }, (_, choice) =>
      engineRequest(body, { prompt, length, choice, probabilities, schema }),
    );
    const form = chatForm(this.formOptions("chatcmpl", request, body, logprobs));
    const headers = conversationHeaders(body.messages);
    return this.answering.answer(request, reply, { requests, headers, form, stream: body.stream === true });
  };

  readonly completion = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const body = validate(this.schemas.completion, request.body);
    const given = promptList(body.prompt);
    const prompts = await Promise.all(given.map((prompt) => this.prompts.ofPrompt(prompt)));
    request.account.promptTokens = prompts.reduce((total, prompt) => total + prompt.length, 0);
    const logprobs = body.logprobs ?? undefined;
    const probabilities = numberOfProbabilities(logprobs);
    const schema = body.json_schema ?? undefined;
    const requests = prompts.flatMap((prompt) =>
      Array.from({ length: body.n ?? 1 }, (_, choice) => {
        const length = this.answerLength(prompt, body.max_tokens);
        return engineRequest(body, { prompt, length, choice, probabilities, schema });
      }),
    );
    const form = completionForm(this.formOptions("cmpl", request, body, logprobs));
    const headers = promptHeaders(given[0] ?? "");
    return this.answering.answer(request, reply, { requests, headers, form, stream: body.stream === true });
  };

  readonly pageCompletion = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const body = validate(pageCompletion, request.body);
    const prompt = await this.prompts.ofPrompt(body.prompt);
    request.account.promptTokens = prompt.length;
    const length = this.answerLength(prompt, body.n_predict ?? body.max_tokens);
    const schema = body.json_schema ?? undefined;
    const requests = [engineRequest(body, { prompt, length, choice: 0, probabilities: body.n_probs ?? 0, schema })];
    const form = pageForm({ model: this.config.model, usage: request.account });
    const headers = promptHeaders(body.prompt);
    return this.answering.answer(request, reply, { requests, headers, form, stream: body.stream === true });
  };

  readonly models = () => ({ object: "list", data: [this.model()] });

  readonly modelNamed = (request: FastifyRequest) => {
    const { "*": name } = request.params as { "*": string };
    if (name === this.config.model) return this.model();
    throw notFound(`The model ${JSON.stringify(name.slice(0, 200))} does not exist.`, "model_not_found", "model");
  };

  /** What the chat page wants to know; llama-server would also tell its files and other users' prompts. */
  readonly props = () => ({
    default_generation_settings: { n_ctx: this.config.contextSize, params: {} },
    total_slots: this.config.slots,
    model_alias: this.config.model,
    n_ctx: this.config.contextSize,
    modalities: { vision: false, audio: false },
    chat_template: "",
  });

  readonly health = () => {
    if (this.stopping) throw unavailable("This gateway is about to stop.");
    return { status: "ok" };
  };

  private model() {
    return { id: this.config.model, object: "model", created: this.startedAt, owned_by: "bitnet-server" };
  }

  /** As many tokens as asked for and as there is room for: an answer ends at the context's end, and says `length`. */
  private answerLength(prompt: readonly number[], asked: number | null | undefined): number {
    return Math.min(asked === -1 ? Infinity : (asked ?? Infinity), this.prompts.room(prompt));
  }

  private formOptions(
    prefix: string,
    { account }: FastifyRequest,
    { stream_options }: { stream_options?: { include_usage?: boolean | null | undefined } | null | undefined },
    logprobs: number | undefined,
  ): FormOptions {
    return {
      id: `${prefix}-${randomUUID().replaceAll("-", "")}`,
      model: this.config.model,
      created: Math.floor(Date.now() / 1000),
      includeUsage: stream_options?.include_usage === true,
      logprobs,
      usage: account,
    };
  }
}

/** The chosen token's probability is looked up among the likeliest ones, so there has to be at least one. */
function numberOfProbabilities(logprobs: number | undefined): number {
  return logprobs === undefined ? 0 : Math.max(1, logprobs);
}
