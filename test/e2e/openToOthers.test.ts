import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { execa } from "execa";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkout } from "../../cli/paths.ts";
import { chat, client } from "./support/chat.ts";
import { containerOf, containersOf, docker, inReplica } from "./support/docker.ts";
import { filesWith } from "./support/filesWith.ts";
import { addressForContainers } from "./support/net.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { Outputs, Run } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";

let folder: string;
let model: TestModel;
let stack: TestStack;
let run: Run;
let outputs: Outputs;
let apiKey: string;
let bindAddress: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitnet-server-open-"));
  model = await drawModel(folder);
  bindAddress = await addressForContainers();
  stack = await TestStack.create({ ...model.settings, bindAddress });
  run = await stack.up();
  outputs = await stack.outputs();
  apiKey = outputs.apiKey ?? "";
});

afterAll(async () => {
  await stack.dispose();
  await rm(folder, { recursive: true });
});

test("on an address that others reach, a key is made, and asked for", async () => {
  expect(new URL(outputs.url).hostname).toBe(bindAddress);
  expect(apiKey).toMatch(/^[A-Za-z0-9]{40}$/);
  expect(run.output).not.toContain(apiKey);
  await expect(chat(client(outputs.url), 2)).rejects.toThrow(OpenAI.AuthenticationError);
  expect((await chat(client(outputs.url, apiKey), 2)).text).toBe(model.answer(2));
});

test("one source has 500 connections and no more; others are served meanwhile", async () => {
  // Two, as one would use its open connections again.
  const [many, more] = [0, 1].map(() => new Agent({ keepAlive: true, maxFreeSockets: 500 }));
  const url = new URL("/health", outputs.url);
  const open = (count: number, agent?: Agent) => Promise.all(Array.from({ length: count }, () => get(url, agent)));
  try {
    // Other tests' clients have a few, too.
    for (const { status, body } of await open(490, many)) expect(status, body).toBe(200);
    const refused = (await open(20, more)).find(({ status }) => status === 429);
    expect(JSON.parse(refused?.body ?? "{}")).toMatchObject({
      error: { type: "rate_limit_error", code: "rate_limit_exceeded", param: null },
    });
    expect(await healthForReplica()).toContain(" 200 ");
  } finally {
    many?.destroy();
    more?.destroy();
  }
  await expect.poll(async () => (await get(url)).status).toBe(200);
});

/** What another source, a replica, gets from the edge. */
async function healthForReplica(): Promise<string> {
  const [replica] = await containersOf(stack.name, "replica");
  const balancer = await containerOf(stack.name, "load-balancer");
  const [network = ""] = Object.keys(replica?.NetworkSettings.Networks ?? {});
  const address = balancer.NetworkSettings.Networks[network]?.IPAddress ?? "";
  const ask = `exec 3<>/dev/tcp/${address}/8000; printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3; head -n 1 <&3`;
  return (await inReplica(replica?.Id ?? "")(ask)).trim();
}

async function get(url: URL, agent = new Agent()): Promise<{ status: number | undefined; body: string }> {
  const asking = request(url, { agent }).end();
  const [answer] = (await once(asking, "response")) as [IncomingMessage];
  return { status: answer.statusCode, body: await text(answer) };
}

test("with a certificate it is HTTPS, and the key is nowhere in clear", async () => {
  const { tlsCertificate, tlsKey } = await makeCertificate("first");
  stack.configure({ tlsCertificate, tlsKey });
  await stack.up();
  const { host, port } = new URL(outputs.url);
  expect((await stack.outputs()).url).toBe(`https://${host}/v1`);
  const { stdout } = await execa("curl", [
    ...["--silent", "--cacert", tlsCertificate, "--resolve", `llm.test:${port}:${bindAddress}`],
    ...["--header", `Authorization: Bearer ${apiKey}`, `https://llm.test:${port}/v1/models`],
  ]);
  expect(JSON.parse(stdout)).toMatchObject({ data: [{ id: model.name }] });
  await expectNowhere(tlsKey);
});

test("a renewed certificate is served without a refused connection, by the same HAProxy, and after a restart", async () => {
  const before = await containerOf(stack.name, "load-balancer");
  const { tlsCertificate, tlsKey } = await makeCertificate("second");
  const renewed = new X509Certificate(await readFile(tlsCertificate)).fingerprint256;
  const caller = new Caller(bindAddress, Number(new URL(outputs.url).port));
  try {
    stack.configure({ tlsCertificate, tlsKey });
    await stack.up();
    await expect.poll(() => caller.seen.at(-1)).toBe(renewed);
  } finally {
    await caller.stop();
  }
  expect(caller.failures).toEqual([]);
  expect(new Set(caller.seen).size).toBe(2);
  const after = await containerOf(stack.name, "load-balancer");
  expect([after.Id, after.State.Pid]).toEqual([before.Id, before.State.Pid]);
  await expectNowhere(tlsKey);

  await docker.getContainer(after.Id).restart({ t: 5 });
  await expect.poll(() => caller.call().catch(String), { timeout: 60_000 }).toBe(renewed);
});

async function makeCertificate(name: string): Promise<{ tlsCertificate: string; tlsKey: string }> {
  const [tlsCertificate, tlsKey] = [join(folder, `${name}.pem`), join(folder, `${name}-key.pem`)];
  const subject = ["-subj", "/CN=llm.test", "-addext", "subjectAltName=DNS:llm.test"];
  const algorithm = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await execa("openssl", ["req", "-x509", ...algorithm, ...subject, "-keyout", tlsKey, "-out", tlsCertificate]);
  return { tlsCertificate, tlsKey };
}

/** Neither in the state, nor in what is built, nor in what Docker tells of the load balancer. */
async function expectNowhere(keyFile: string): Promise<void> {
  const secret = (await readFile(keyFile, "utf8")).split("\n")[1] ?? "";
  expect(await filesWith(secret, [stack.stateFolder, join(checkout, ".build", stack.name)])).toEqual([]);
  expect(JSON.stringify(await containerOf(stack.name, "load-balancer"))).not.toContain(secret);
}

/** A client that connects again and again, and notes whose certificate it is shown. */
class Caller {
  readonly seen: string[] = [];
  readonly failures: string[] = [];
  readonly #to: { host: string; port: number };
  readonly #calling: Promise<void>;
  #stopped = false;

  constructor(host: string, port: number) {
    this.#to = { host, port };
    this.#calling = this.#callOn();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#calling;
  }

  /** @returns the fingerprint of the certificate */
  async call(): Promise<string> {
    const socket = connect({ ...this.#to, servername: "llm.test", rejectUnauthorized: false });
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(10_000) });
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  }

  async #callOn(): Promise<void> {
    while (!this.#stopped) {
      await this.call().then(
        (fingerprint) => this.seen.push(fingerprint),
        (error: unknown) => this.failures.push(String(error)),
      );
      await sleep(20);
    }
  }
}
