import OpenAI, { APIError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError } from "openai";
import { describe, expect, it } from "vitest";
import { key, keys, startGateway, type TestGateway } from "./gateway.ts";

function client({ url }: TestGateway, apiKey = "none"): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

const model = "fake";
const messages = [{ role: "user" as const, content: "Which digit is in this prompt: 5?" }];

describe("OpenAI's own client", () => {
  it("reads a chat completion", async () => {
    await using gateway = await startGateway();
    const answer = await client(gateway).chat.completions.create({ model, messages });
    expect(answer).toMatchObject({
      object: "chat.completion",
      model,
      choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "The digit is 5." } }],
      usage: { completion_tokens: 5 },
    });
    expect(answer.id).toMatch(/^chatcmpl-/);
    expect(answer._request_id).toMatch(/^req_/);
  });

  it("reads a chat stream with usage at its end", async () => {
    await using gateway = await startGateway();
    const stream = await client(gateway).chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 2,
    });
    const chunks = await collect(stream);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe("The digit");
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("length");
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 2 } });
  });

  it("puts a stream together with its helper", async () => {
    await using gateway = await startGateway();
    const answer = await client(gateway).chat.completions.stream({ model, messages }).finalChatCompletion();
    expect(answer.choices[0]?.message.content).toBe("The digit is 5.");
  });

  it("gets several choices, each with a seed of its own", async () => {
    await using gateway = await startGateway();
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- many clients send it
    const answer = await client(gateway).chat.completions.create({ model, messages, n: 3, seed: 7 });
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(answer.usage?.completion_tokens).toBe(15);
    expect(gateway.asked().map(({ seed }) => seed)).toEqual([7, 8, 9]);
  });

  it("gets several choices in one stream", async () => {
    await using gateway = await startGateway();
    const stream = await client(gateway).chat.completions.create({ model, messages, n: 2, stream: true });
    const texts = ["", ""];
    for await (const { choices } of stream) {
      for (const { index, delta } of choices) texts[index] = (texts[index] ?? "") + (delta.content ?? "");
    }
    expect(texts).toEqual(["The digit is 5.", "The digit is 5."]);
  });

  it("reads how likely each token was", async () => {
    await using gateway = await startGateway();
    const answer = await client(gateway).chat.completions.create({ model, messages, logprobs: true, top_logprobs: 2 });
    const first = answer.choices[0]?.logprobs?.content?.[0];
    expect(first?.token).toBe("The");
    expect(first?.logprob).toBeCloseTo(Math.log(0.75));
    expect(first?.top_logprobs.map(({ token }) => token)).toEqual(["The", "?"]);
  });

  it("sends parts, a developer's message, stop strings and a schema", async () => {
    await using gateway = await startGateway();
    const schema = { type: "object", properties: { digit: { type: "integer" } }, required: ["digit"] };
    await client(gateway).chat.completions.create({
      model,
      messages: [
        { role: "developer", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "Which digit?" },
            { type: "text", text: "5" },
          ],
        },
      ],
      stop: "\n",
      logit_bias: { 5: -100 },
      response_format: { type: "json_schema", json_schema: { name: "digit", strict: true, schema } },
      safety_identifier: "somebody",
      metadata: { a: "b" },
    });
    expect(gateway.asked()[0]).toMatchObject({
      stop: ["\n"],
      logit_bias: [[5, -100]],
      json_schema: schema,
      stream: true,
    });
  });

  it("reads completions of a list of prompts, whole and as a stream", async () => {
    await using gateway = await startGateway();
    const whole = await client(gateway).completions.create({ model, prompt: ["a 1", "b 2"], logprobs: 1 });
    expect(whole.choices.map(({ text, finish_reason }) => [text, finish_reason])).toEqual([
      ["The digit is 5.", "stop"],
      ["The digit is 5.", "stop"],
    ]);
    expect(whole.choices[0]?.logprobs?.text_offset).toEqual([0, 3, 9, 12, 14]);
    const stream = await client(gateway).completions.create({ model, prompt: [5, 6], stream: true, max_tokens: 1 });
    const chunks = await collect(stream);
    expect(chunks.map(({ choices }) => choices[0]?.text)).toEqual(["The", ""]);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("length");
    expect(gateway.asked().at(-1)).toMatchObject({ prompt: [5, 6] });
  });

  it("lists the model, and finds it by name", async () => {
    await using gateway = await startGateway({ MODEL_ALIAS: "org/fake" });
    const openai = client(gateway);
    expect((await openai.models.list()).data).toMatchObject([{ id: "org/fake", object: "model" }]);
    expect(await openai.models.retrieve("org/fake")).toMatchObject({ id: "org/fake" });
    await expect(openai.models.retrieve("other")).rejects.toThrow(NotFoundError);
  });

  it("is told what is not offered", async () => {
    await using gateway = await startGateway();
    const openai = client(gateway);
    await expect(openai.embeddings.create({ model, input: "a" })).rejects.toThrow(/No embeddings/);
    await expect(openai.responses.create({ model, input: "a" })).rejects.toThrow(/use \/v1\/chat\/completions/);
    await expect(
      openai.chat.completions.create({ model, messages, tools: [{ type: "function", function: { name: "f" } }] }),
    ).rejects.toThrow(/trained to call tools/);
  });

  it("throws each mistake as the class that belongs to it", async () => {
    await using gateway = await startGateway({ API_KEYS: keys });
    await expect(client(gateway, "wrong").models.list()).rejects.toThrow(AuthenticationError);
    const openai = client(gateway, key);
    const wrong = openai.chat.completions.create({ model, messages, temperature: 3 });
    await expect(wrong).rejects.toThrow(BadRequestError);
    await expect(wrong).rejects.toMatchObject({ param: "temperature", type: "invalid_request_error" });
    gateway.fake.behave({ status: 500 });
    await expect(openai.chat.completions.create({ model, messages })).rejects.toThrow(InternalServerError);
  });

  it("throws what goes wrong in the middle of a stream", async () => {
    await using gateway = await startGateway();
    gateway.fake.behave({ fault: "die", failAfter: 2 });
    const stream = await client(gateway).chat.completions.create({ model, messages, stream: true });
    const read = collect(stream);
    await expect(read).rejects.toThrow(APIError);
    await expect(read).rejects.toThrow(/in the middle of the answer/);
  });
});
