import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type OpenAI from "openai";
import { APIError, APIUserAbortError } from "openai";

type Message = OpenAI.ChatCompletionMessageParam;

export interface Conversation {
  readonly openai: OpenAI;
  readonly model: string;
  /** The system prompt. Default: none. */
  readonly system?: string | undefined;
}

/** Where questions come from, and where answers and errors go. */
export interface Streams {
  readonly input: Readable & { isTTY?: boolean };
  readonly output: Writable;
  readonly errors: Writable;
}

/**
 * A conversation. On a terminal each line is a question; otherwise the whole input is one. Answers are streamed.
 * On a terminal Ctrl-C ends an answer; between answers it ends the conversation, like Ctrl-D.
 * @throws APIError if there is no terminal to ask again on
 */
export async function converse(conversation: Conversation, streams: Streams, signal: AbortSignal): Promise<void> {
  const { system } = conversation;
  const messages: Message[] = system === undefined ? [] : [{ role: "system", content: system }];
  if (streams.input.isTTY === true) return onTerminal(conversation, messages, streams, signal);
  messages.push({ role: "user", content: (await text(streams.input)).trim() });
  await answer(conversation, messages, streams.output, signal);
}

async function onTerminal(
  conversation: Conversation,
  messages: Message[],
  { input, output, errors }: Streams,
  signal: AbortSignal,
): Promise<void> {
  const lines = createInterface({ input, output, prompt: "> ", terminal: true });
  let answering: AbortController | undefined;
  const over = new AbortController();
  lines.on("close", () => {
    over.abort();
    answering?.abort();
  });
  const interrupt = () => {
    if (answering === undefined) lines.close();
    else answering.abort();
  };
  lines.on("SIGINT", interrupt);
  signal.addEventListener("abort", () => {
    lines.close();
  });
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() !== "") {
      answering = new AbortController();
      await turn(conversation, messages, line.trim(), output, answering.signal).catch(tellTo(errors));
      answering = undefined;
    }
    if (over.signal.aborted) break;
    lines.prompt();
  }
  output.write("\n");
}

/** Questions without an answer are not part of the conversation. */
async function turn(
  conversation: Conversation,
  messages: Message[],
  question: string,
  output: Writable,
  signal: AbortSignal,
): Promise<void> {
  const asked: Message[] = [...messages, { role: "user", content: question }];
  const content = await answer(conversation, asked, output, signal);
  messages.splice(0, messages.length, ...asked, { role: "assistant", content });
}

/** Writes an answer as it arrives, and returns what arrived, which is less if the signal cut it short. */
async function answer(
  { openai, model }: Conversation,
  messages: Message[],
  output: Writable,
  signal: AbortSignal,
): Promise<string> {
  let content = "";
  try {
    const stream = await openai.chat.completions.create({ model, messages, stream: true }, { signal });
    for await (const { choices } of stream) {
      const piece = choices[0]?.delta.content ?? "";
      content += piece;
      output.write(piece);
    }
  } catch (error) {
    if (!(error instanceof APIUserAbortError)) throw error;
  }
  output.write("\n");
  return content;
}

/** An API error is printed, and the conversation goes on; anything else is a bug. */
function tellTo(errors: Writable) {
  return (error: unknown) => {
    if (!(error instanceof APIError)) throw error;
    errors.write(`${error.message}\n`);
  };
}
