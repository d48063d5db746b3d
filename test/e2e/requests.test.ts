import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { fuzzBody, fuzzPath, fuzzRuns } from "../support/fuzz.ts";
import { send } from "../support/http.ts";
import type { RequestCase } from "../support/requestCases.ts";
import { askCase, checkAnswer, expand, promptTokens, requestCases } from "../support/requestCases.ts";
import { chat, client, stream } from "./support/chat.ts";
import { containersOf, inReplica, serverProcess } from "./support/docker.ts";
import { Held } from "./support/held.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { Outputs } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";

const key = randomBytes(24).toString("hex");
const bodies = fuzzRuns(500);
/** HAProxy's parser refuses these with a page of its own, whatever http-error says. */
const refusedByParser = ["content-length-twice"];

const [slow, quick] = [requestCases.filter(isSlow), requestCases.filter((row) => !isSlow(row))];
/** Without a key there is no telling a client's Authorization from one that the test adds. */
const authorization = { authorization: `Bearer ${key}` };

describe("a stack with a key", () => {
  let folder: string;
  let model: TestModel;
  let stack: TestStack;
  let outputs: Outputs;
  let port: number;
  let before: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-requests-"));
    model = await drawModel(folder);
    // The answers have over 200 tokens; the cases that do not fit are longer than 512.
    stack = await TestStack.create({ ...model.settings, contextSize: 512, replicas: 2 });
    await stack.setSecret("apiKeys", JSON.stringify({ tester: key }));
    await stack.up();
    outputs = await stack.outputs();
    port = Number(new URL(outputs.url).port);
    before = await processes(stack);
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  // After whatever was sent, nothing was restarted, and the next request is answered right.
  afterEach(async () => {
    const openai = client(outputs.url, key);
    expect((await chat(openai, 5)).text).toBe(model.answer(5));
    expect(await processes(stack)).toEqual(before);
  });

  describe("each request that once went wrong, through the public URL", () => {
    it.each(quick)("$id", async (row) => {
      const meanwhile = row.busy ? keepBusy(outputs.url) : undefined;
      const began = performance.now();
      const answer = await askCase({ port }, withKey(row), key);
      const took = performance.now() - began;
      if (refusedByParser.includes(row.id)) expect(row.expect.status).toContain(answer.status);
      else checkAnswer(row, answer);
      if (row.busy) expect(took).toBeLessThan(1000);
      if (row.expect.samePromptTokensAs !== undefined) {
        const body = expand(row.expect.samePromptTokensAs);
        const other = await send({ port }, row.method, row.path ?? "", { body, headers: authorization });
        expect(promptTokens(answer)).toBe(promptTokens(other));
      }
      await meanwhile;
    });
  });

  it.each(slow)("$id: /health and a request with a key are answered meanwhile", async ({ id, slow }) => {
    const { connections, announced, sent } = slowForm.parse(slow);
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${announced}\r\n\r\n`;
    const held = new Held(port, connections, id === "idle-connections" ? "" : head + "{".repeat(sent));
    await held.opened();
    try {
      await expectOthersServed();
    } finally {
      await held.close();
    }
    for (const status of held.statuses()) expect([401, 408, 0]).toContain(status);
  });

  /** /health at once, and a request with a key, several times. */
  async function expectOthersServed(): Promise<void> {
    for (let look = 0; look < 5; look++) {
      const began = performance.now();
      expect((await fetch(outputs.healthUrl)).status).toBe(200);
      expect(performance.now() - began).toBeLessThan(1000);
      expect((await chat(client(outputs.url, key), look)).text).toBe(model.answer(look));
    }
  }

  it("clients that do not read what they asked for hold up nobody else, the page's readers not even with a key", async () => {
    const page = new Held(
      port,
      600,
      "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\naccept-encoding: gzip\r\n\r\n",
      "reads nothing",
    );
    const body = JSON.stringify({
      messages: [{ role: "user", content: "5" }],
      stream: true,
      ignore_eos: true,
      max_tokens: 200,
    });
    const ask = `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${key}\r\n`;
    const streams = new Held(port, 20, `${ask}content-length: ${body.length}\r\n\r\n${body}`, "reads nothing");
    await Promise.all([page.opened(), streams.opened()]);
    try {
      await expectOthersServed();
    } finally {
      await Promise.all([page.close(), streams.close()]);
    }
  });

  it("no generated body is answered with 5xx, or ends a server", { timeout: bodies * 2000 }, async () => {
    let answered = 0;
    const property = fc.asyncProperty(fuzzPath, fuzzBody, async (path, body) => {
      const { status, body: said } = await send({ port }, "POST", path, { body, headers: authorization });
      expect([200, 400], said).toContain(status);
      if (status === 200) answered++;
    });
    // Each smaller example of a failure would be asked of servers that may be restarting.
    await fc.assert(property, { numRuns: bodies, endOnFailure: true });
    expect(answered).toBeGreaterThan(bodies / 8);
  });

  it("idle clients are cut off after five seconds", async () => {
    const held = new Held(port, 10, "");
    await held.opened();
    const began = performance.now();
    await held.ended();
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it("a body that is too large is refused before it is sent", async () => {
    const held = new Held(port, 1, `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999\r\n\r\n`);
    await expect.poll(() => held.statuses()).toEqual([413]);
    await held.close();
  });

  it("the chat page and its files are served, without a key", async () => {
    const page = await fetch(new URL("/", outputs.url));
    expect([page.status, page.headers.get("content-type")]).toEqual([200, expect.stringContaining("text/html")]);
  });

  it("the access log has the client's address, not what a client says of itself", async () => {
    const id = `address-${randomBytes(8).toString("hex")}`;
    await send({ port }, "GET", "/v1/models", { headers: { "x-request-id": id, "x-forwarded-for": "203.0.113.9" } });
    const gateways = await containersOf(stack.name, "gateway");
    const line = async () => {
      const logs = await Promise.all(gateways.map(({ Id }) => execa("docker", ["logs", Id])));
      return logs.flatMap(({ stdout }) => stdout.split("\n")).find((one) => one.includes(id)) ?? "{}";
    };
    await expect.poll(line).toContain(id);
    const { client } = JSON.parse(await line()) as { client: string };
    expect(isIP(client)).toBe(4);
    expect(client).not.toBe("203.0.113.9");
  });

  it("Prometheus finds what each llama-server knows, on the same port: tokens read and written, and the KV cache's use", async () => {
    const told = await Promise.all(
      [1, 2, 3].map((number) => fetch(new URL(`llama-${number}/metrics`, outputs.statsUrl))),
    );
    expect(told.map(({ status }) => status)).toEqual([200, 200, 503]);
    const [one, two] = told;
    expect(one?.headers.get("x-replica")).not.toBe(two?.headers.get("x-replica"));
    for (const replica of [one, two]) {
      const text = await replica?.text();
      for (const known of ["prompt_tokens_total", "tokens_predicted_total", "kv_cache_usage_ratio"]) {
        expect(text).toMatch(new RegExp(`^llamacpp:${known} \\d`, "m"));
      }
    }
  });

  it("Prometheus finds what HAProxy and each gateway count, on this machine's statistics port only", async () => {
    const metrics = async (path: string) => (await fetch(new URL(path, outputs.statsUrl))).text();
    expect(await metrics("metrics")).toContain(
      'haproxy_server_status{proxy="gateways",server="gateway-1",state="UP"} 1',
    );
    const counted = await Promise.all(["gateway-1/metrics", "gateway-2/metrics"].map(metrics));
    for (const text of counted) expect(text).toContain("bitnet_gateway_requests_running");
    expect(counted.join("")).toMatch(/bitnet_gateway_requests_total\{.*key="tester".*status="200".*\} [1-9]/);
    for (const path of ["metrics", "gateway-1/metrics", "llama-1/metrics"]) {
      expect((await send({ port }, "GET", `/${path}`, { headers: authorization })).status).toBe(404);
    }
  });

  /** Both replicas write an answer. */
  async function keepBusy(url: string): Promise<void> {
    const openai = client(url, key);
    const texts = await Promise.all([1, 2, 3, 4].map(async (digit) => (await stream(openai, digit)).text));
    expect(texts).toEqual([1, 2, 3, 4].map((digit) => model.answer(digit)));
  }
});

function isSlow({ slow }: RequestCase): boolean {
  return slow !== undefined;
}

/** What the case says of keys stays as it says. */
function withKey(row: RequestCase): RequestCase {
  const says = row.keys || "@many" in row.headers || "@twice" in row.headers || row.method === "OPTIONS";
  return says ? row : { ...row, headers: { ...authorization, ...row.headers } };
}

/** Each container's restarts, and each replica's server process. */
async function processes({ name }: TestStack): Promise<string[]> {
  const replicas = await containersOf(name, "replica");
  const others = [...(await containersOf(name, "gateway")), ...(await containersOf(name, "load-balancer"))];
  const servers = replicas.map(async ({ Id, RestartCount }) => {
    const { pid } = await serverProcess(inReplica(Id));
    return `${Id} ${RestartCount} ${pid}`;
  });
  return [
    ...(await Promise.all(servers)),
    ...others.map(({ Id, RestartCount, State }) => `${Id} ${RestartCount} ${State.Pid}`),
  ];
}

const slowForm = z.object({ connections: z.number(), announced: z.number(), sent: z.number() });
