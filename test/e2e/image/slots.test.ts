import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { tools } from "../../../cli/paths.ts";
import type { Answers } from "../../../tools/answerProgram.ts";
import { writeSyntheticModel } from "../../../tools/syntheticModel.ts";
import { askCrowd } from "../support/crowd.ts";
import { docker, inReplica, replicaRights, serverProcess } from "../support/docker.ts";
import { freePort, isHealthy } from "../support/net.ts";
import { buildImage } from "./build.ts";

const image = "bitnet-server-slots-test";
let folder: string;
let answers: Answers;
const running: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tools, "slots-test-"));
  const model = join(folder, "model.gguf");
  answers = await writeSyntheticModel(model, { seed: randomInt(2 ** 31), words: 20 });
  const { succeeded, output } = await buildImage({ files: { model }, tag: image });
  if (!succeeded) throw new Error(output);
});

afterAll(async () => {
  await Promise.all(running.map((id) => docker.getContainer(id).remove({ force: true })));
  await execa("docker", ["rmi", image], { reject: false });
  await rm(folder, { recursive: true });
});

interface Server {
  id: string;
  url: string;
}

async function start(slots: number): Promise<Server> {
  const port = await freePort();
  const flags = [...replicaRights, `--publish=127.0.0.1:${port}:8080`, `--env=PARALLEL=${slots}`];
  const { stdout: id } = await execa("docker", ["run", "--detach", ...flags, image]);
  running.push(id);
  const url = `http://127.0.0.1:${port}`;
  await vi.waitUntil(() => isHealthy(url), { timeout: 60_000 });
  return { id, url };
}

const completion = z.object({ content: z.string() });

/** Asks in a certain slot, with llama-server's own API. */
async function askSlot({ url }: Server, slot: number, prompt: string, tokens: number): Promise<string> {
  const request = { prompt, id_slot: slot, n_predict: tokens, temperature: 0, cache_prompt: true };
  const response = await fetch(`${url}/completion`, { method: "POST", body: JSON.stringify(request) });
  return completion.parse(await response.json()).content;
}

/** A conversation as the model's template has it. */
function promptOf(question: string): string {
  return `User: ${question}<|eot_id|>Assistant: `;
}

describe.each([2, 4, 8])("with %d slots", (slots) => {
  let server: Server;

  beforeAll(async () => {
    server = await start(slots);
  });

  test("a conversation goes on rightly after another one, whose part of the KV cache lies before it, has ended", async () => {
    const question = "Which digit is in this prompt: 7?";
    await askSlot(server, 0, "x".repeat(300), 1);
    expect(await askSlot(server, 1, promptOf(question), answers.answerTokens)).toBe(answers.expected(question));
    await askSlot(server, 0, "y", 1);
    expect(await askSlot(server, 1, promptOf(question), answers.answerTokens)).toBe(answers.expected(question));
  });

  test("everybody gets the right answer while others leave: short and long questions, and conversations", async () => {
    const outcome = await askCrowd(server.url, answers, "mixed", randomInt(2 ** 31));
    expect(outcome).toEqual({ wrong: [], missing: [] });
  });
});

test("beside an answer a long prompt is read in steps of 20 tokens, with a token of the answer after each", async () => {
  const server = await start(2);
  const stop = new AbortController();
  const answer = await fetch(`${server.url}/completion`, {
    method: "POST",
    body: JSON.stringify({ prompt: "y", id_slot: 0, n_predict: 3500, ignore_eos: true, stream: true }),
    signal: stop.signal,
  });
  let tokens = 0;
  const reading = (async () => {
    for await (const bytes of answer.body ?? []) tokens += Buffer.from(bytes).toString().split("data: ").length - 1;
  })();
  await vi.waitUntil(() => tokens > 0);
  const before = tokens;
  await askSlot(server, 1, "x".repeat(3500), 1);
  // 175 steps; some of the tokens may still be on their way. In steps of 512 there were 7.
  expect(tokens - before).toBeGreaterThan(100);
  stop.abort();
  await expect(reading).rejects.toThrow("abort");
});

test("what was answered takes no memory: 2,000 answers add less than 2 MB", async () => {
  const server = await start(4);
  await askMany(server, 500);
  const before = await anonymousBytes(server);
  await askMany(server, 2000);
  expect((await anonymousBytes(server)) - before).toBeLessThan(2_000_000);
});

/** Four clients that ask for four tokens each, half of them as streams. */
async function askMany({ url }: Server, count: number): Promise<void> {
  const ask = async (index: number): Promise<void> => {
    const messages = [{ role: "user", content: String(index % 10) }];
    const body = JSON.stringify({ messages, max_tokens: 4, stream: index % 2 === 0 });
    // A connection each: of those that are kept, llama-server closes some just when the next request comes.
    const headers = { connection: "close" };
    const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
    expect(response.status).toBe(200);
    await response.text();
  };
  const client = async (first: number): Promise<void> => {
    for (let index = first; index < count; index += 4) await ask(index);
  };
  await Promise.all([0, 1, 2, 3].map(client));
}

/** Of llama-server: what it allocated, without the model's file. */
async function anonymousBytes({ id }: Server): Promise<number> {
  const { status } = await serverProcess(inReplica(id));
  return Number.parseInt(status.RssAnon ?? "") * 1024;
}
