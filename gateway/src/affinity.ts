import { createHash } from "node:crypto";
import type { Message } from "./contract/chatCompletions.ts";

/**
 * Headers by which HAProxy sends a conversation to the replica that still has it in memory. A request says all that
 * the one before it said, then the answer, then something new: so its `before` is the `now` of the one before it. Both are
 * hashes of what was understood, not of how it was written: spaces and the order of fields do not count.
 */
export function conversationHeaders(messages: readonly Message[]): Record<string, string> {
  const lastAnswer = messages.findLastIndex(({ role }) => role === "assistant");
  return {
    "x-conversation": hash(messages),
    ...(lastAnswer > 0 ? { "x-conversation-before": hash(messages.slice(0, lastAnswer)) } : {}),
  };
}

/**
 * So much of a prompt without messages is compared: some 250 tokens, as many as OpenAI routes by (its guide to prompt
 * caching). What is shorter is soon read again.
 */
const recognisedCharacters = 1000;

/** A prompt is what the one before it was, and more: its beginning stands for both. */
export function promptHeaders(prompt: string | readonly number[]): Record<string, string> {
  const beginning = createHash("sha256")
    .update(JSON.stringify(prompt.slice(0, recognisedCharacters)))
    .digest("hex");
  return { "x-conversation": beginning.slice(0, 16), "x-conversation-before": beginning.slice(0, 16) };
}

/** 64 bits, in hexadecimal. */
function hash(messages: readonly Message[]): string {
  const canonical = JSON.stringify(messages.map(({ role, content }) => [role, content]));
  return createHash("sha256").update(canonical).digest("hex").slice(0, 16);
}
