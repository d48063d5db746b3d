import { PassThrough } from "node:stream";
import OpenAI from "openai";
import { expect, test, vi } from "vitest";
import { converse } from "../../../cli/chat.ts";
import type { TestGateway } from "../gateway/gateway.ts";
import { startGateway } from "../gateway/gateway.ts";

/** A terminal, or a pipe, whose screen is what was written. */
function streams(isTTY: boolean) {
  const [input, output, errors] = [Object.assign(new PassThrough(), { isTTY }), new PassThrough(), new PassThrough()];
  let [screen, told] = ["", ""];
  output.on("data", (data: Buffer) => (screen += data.toString()));
  errors.on("data", (data: Buffer) => (told += data.toString()));
  return { input, output, errors, screen: () => screen, told: () => told };
}

function conversation({ url }: TestGateway, system?: string) {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  return { openai, model: "fake", system };
}

const patient = new AbortController().signal;
const seen = (screen: () => string, text: string) =>
  vi.waitFor(() => {
    expect(screen()).toContain(text);
  });
const prompts = (gateway: TestGateway) => gateway.asked().map(({ prompt }) => JSON.stringify(prompt));

test("without a terminal the whole input is one question, and the output the answer alone", async () => {
  await using gateway = await startGateway();
  const { input, output, errors, screen } = streams(false);
  input.end("Which digit\nis in this prompt: 5?\n");
  await converse(conversation(gateway), { input, output, errors }, patient);
  expect(screen()).toBe("The digit is 5.\n");
});

test("on a terminal each line is a question, and the model knows what was said before", async () => {
  await using gateway = await startGateway();
  const { input, output, errors, screen } = streams(true);
  const done = converse(conversation(gateway, "Be brief."), { input, output, errors }, patient);
  input.write("first\r");
  await seen(screen, "The digit is 5.\n");
  input.write("\r");
  input.write("second\r");
  await vi.waitFor(() => {
    expect(screen().split("The digit is 5.\n")).toHaveLength(3);
  });
  input.write("\u0004");
  await done;
  const received = gateway.fake.received.filter(({ path }) => path === "/tokenize").map(({ body }) => body.content);
  expect(received.join("")).toMatch(/Be brief\.[^]*first[^]*The digit is 5\.[^]*second/);
  expect(prompts(gateway)).toHaveLength(2);
});

test("Ctrl-C ends an answer and not the conversation; between answers it ends the conversation", async () => {
  await using gateway = await startGateway();
  gateway.fake.behave({ answer: Array.from({ length: 100 }, () => " word"), tokenDelay: 100 });
  const { input, output, errors, screen } = streams(true);
  const done = converse(conversation(gateway), { input, output, errors }, patient);
  input.write("long\r");
  await seen(screen, " word word");
  input.write("\u0003");
  await vi.waitFor(() => {
    expect(screen()).toMatch(/ word\n[^\n]*> [^\n]*$/);
  });
  await vi.waitFor(() => {
    expect(gateway.fake.received.at(-1)?.leftAt).toBeDefined();
  });
  input.write("\u0003");
  await done;
});

test("what the API refuses is told, and the conversation goes on without it", async () => {
  await using gateway = await startGateway({ CONTEXT_SIZE: "64" });
  const { input, output, errors, screen, told } = streams(true);
  const done = converse(conversation(gateway), { input, output, errors }, patient);
  input.write(`${"long ".repeat(200)}\r`);
  await vi.waitFor(() => {
    expect(told()).toContain("400");
  });
  input.write("short\r");
  await seen(screen, "The digit is 5.\n");
  input.end();
  await done;
});

test.each(["Ctrl-D", "a signal"])("%s while an answer comes ends the conversation, without an error", async (how) => {
  await using gateway = await startGateway();
  gateway.fake.behave({ answer: Array.from({ length: 100 }, () => " word"), tokenDelay: 100 });
  const { input, output, errors, screen, told } = streams(true);
  const signal = new AbortController();
  const done = converse(conversation(gateway), { input, output, errors }, signal.signal);
  input.write("long\r");
  await seen(screen, " word word");
  if (how === "Ctrl-D") input.write("\u0004");
  else signal.abort();
  await done;
  expect(told()).toBe("");
});
