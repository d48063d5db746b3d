import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

let body: unknown;
let authorization: string | undefined;
let reply: { status: number; body: string };
const server = createServer((request, response) => {
  void text(request).then((received) => {
    body = JSON.parse(received);
    authorization = request.headers.authorization;
    response.writeHead(reply.status, { "content-type": "application/json" }).end(reply.body);
  });
});

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(() => {
  answer("Fine.");
});

function answer(content: string | null): void {
  const message = { role: "assistant", reasoning_content: "none", content };
  reply = { status: 200, body: JSON.stringify({ choices: [{ index: 0, message }] }) };
}

async function ask(question: string, expected?: string, environment: Record<string, string> = {}) {
  const { port } = server.address() as AddressInfo;
  const args = ["docker/server/runtime/ask-question.pl", "5", question, ...(expected === undefined ? [] : [expected])];
  const env = { ...environment, PORT: String(port) };
  const { exitCode, all } = await execa("perl", args, { env, all: true, reject: false });
  return { exitCode, output: all };
}

const odd = 'Say "täglich", C:\\temp,\nthen\t🙂 \u0001.';

test("a question with quotes, backslashes, line breaks and any script arrives as it was written", async () => {
  expect(await ask(odd)).toEqual({ exitCode: 0, output: "" });
  expect(body).toMatchObject({ messages: [{ role: "user", content: odd }], temperature: 0, max_tokens: 32 });
});

test.each([
  ["as it is", JSON.stringify],
  ["in escapes alone", (value: unknown) => JSON.stringify(value).replaceAll(/[^\x20-\x7e]/g, escape)],
])("an exact answer is recognised however the server writes it: %s", async (_, write) => {
  reply = { status: 200, body: write({ choices: [{ message: { content: odd } }] }) };
  expect(await ask("Well?", odd)).toEqual({ exitCode: 0, output: "" });
  expect(body).toMatchObject({ max_tokens: Buffer.byteLength(odd) + 16 });
});

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

test("another answer than the one expected fails, and says what was asked, expected and answered", async () => {
  answer("5");
  const { exitCode, output } = await ask("2 + 2?", "4");
  expect(exitCode).toBe(1);
  expect(output).toMatch(/^bitnet-server: .*\n {2}asked: 2 \+ 2\?\n {2}expected: 4\n {2}answered: 5$/);
});

test("an answer of several lines is told in one", async () => {
  answer("4\nor 5");
  expect((await ask("2 + 2?", "4")).output).toContain("answered: 4\\u000aor 5");
});

test.each([
  ["nothing", ""],
  ["blanks", " \n"],
  ["no text", null],
])("where any text will do, %s does not", async (_, content) => {
  answer(content);
  const { exitCode, output } = await ask("Hello!");
  expect(exitCode).toBe(1);
  expect(output).toContain("expected: any text");
});

test("an error of the server's is no answer, and is shown", async () => {
  reply = { status: 500, body: '{"error":{"content":"x","message":"out of memory"}}' };
  const { exitCode, output } = await ask("Hello!");
  expect(exitCode).toBe(1);
  expect(output).toContain("out of memory");
});

test("where a key is asked for, it is sent", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ask-question-"));
  const file = join(folder, "keys");
  writeFileSync(file, "the-key\nanother\n");
  expect((await ask("Hello!", undefined, { API_KEY_FILE: file })).exitCode).toBe(0);
  expect(authorization).toBe("Bearer the-key");
  rmSync(folder, { recursive: true });
});
