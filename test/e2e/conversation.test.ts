import { randomInt } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { platform, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { execa } from "execa";
import type OpenAI from "openai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { checkout } from "../../cli/paths.ts";
import { haproxyEnvironment } from "../../components/serving/haproxy.ts";
import { ports } from "../../components/serving/ports.ts";
import { conversationHeaders, promptHeaders } from "../../gateway/src/affinity.ts";
import type { Message as ChatMessage } from "../../gateway/src/contract/chatCompletions.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import { sources, TestStack } from "./support/testStack.ts";

type Message = OpenAI.ChatCompletionMessageParam;

/** The real configuration, with addresses in place of names; the first server plays both gateways as well. */
function withAddresses(configuration: string, haproxy: string, addresses: readonly string[]): string {
  const [first = ""] = addresses;
  const servers = addresses.map((address, index) => `server llama-${index + 1} ${address}`).join("\n  ");
  return configuration
    .replaceAll("bind :", `bind ${haproxy}:`)
    .replaceAll(/server-template llama- .*/g, servers)
    .replaceAll(/gateway-[12]:\d+/g, first)
    .replaceAll(/^ *default-server resolvers.*$| resolvers dns init-addr none$/gm, "");
}

const system: ChatMessage = { role: "system", content: 'Answer {"briefly"}, in JSON.' };
const opening = (name: string): ChatMessage[] => [system, { role: "user", content: `${name}: are you there?` }];
const secondTurn = (name: string): ChatMessage[] => [
  ...opening(name),
  { role: "assistant", content: "Yes." },
  { role: "user", content: "Go on." },
];

describe("the real HAProxy, and servers that play llama-server", () => {
  // An address of this machine's loopback for each, so that all may have the ports that the configuration says.
  const network = `127.${randomInt(1, 255)}.${randomInt(255)}`;
  const replicas = [1, 2, 3].map((host) => new Replica(`${network}.${host}`));
  const haproxy = `${network}.100`;
  const image = "bitnet-load-balancer-test";
  const reason = platform() === "linux" ? undefined : "only Linux has all of 127.0.0.0/8, and containers that share it";
  let container = "";

  beforeEach(({ skip }) => {
    skip(reason !== undefined, reason);
  });

  beforeAll(async () => {
    if (reason !== undefined) return;
    await Promise.all(replicas.map((replica) => replica.start()));
    const { baseImage } = await sources();
    const folder = join(checkout, "docker/load-balancer");
    await execa("docker", ["build", "--tag", image, "--build-arg", `BASE_IMAGE=${baseImage}`, folder]);
    const addresses = replicas.map(({ address }) => `${address}:8080`);
    const configuration = join(await mkdtemp(join(tmpdir(), "haproxy-")), "haproxy.cfg");
    const text = await readFile(join(folder, "haproxy.cfg"), "utf8");
    await writeFile(configuration, withAddresses(text, haproxy, addresses), { mode: 0o644 });
    await chmod(dirname(configuration), 0o755);
    const environment = Object.entries(haproxyEnvironment({ parallel: 1, dns: "127.0.0.11:53" }));
    container = (
      await execa("docker", [
        ...["run", "--detach", "--network=host", "--read-only", "--tmpfs=/run:mode=1777"],
        `--volume=${configuration}:/usr/local/etc/haproxy/haproxy.cfg:ro`,
        ...environment.map(([name, value]) => `--env=${name}=${value}`),
        image,
      ])
    ).stdout;
    await allUp();
  });

  afterEach(async () => {
    if (reason !== undefined) return;
    for (const replica of replicas) await replica.recover();
    await allUp();
  });

  afterAll(async () => {
    if (reason !== undefined) return;
    await execa("docker", ["rm", "--force", container], { reject: false });
    await execa("docker", ["rmi", image], { reject: false });
    await Promise.all(replicas.map((replica) => replica.stop()));
  });

  async function metric(name: string): Promise<number[]> {
    const metrics = await fetch(`http://${haproxy}:8404/metrics`).then((response) => response.text());
    const lines = metrics.matchAll(new RegExp(`^${name}\\{proxy="replicas".*\\} (\\d+)$`, "gm"));
    return [...lines].map(([, value]) => Number(value));
  }

  async function allUp(): Promise<void> {
    const usable = () => metric("haproxy_backend_active_servers").catch(() => []);
    await vi.waitUntil(async () => (await usable())[0] === replicas.length, { timeout: 60_000 });
  }

  /** Asks as the gateway does. @returns the address of who answered */
  async function post(headers: Record<string, string> = {}, body = "{}"): Promise<string> {
    const response = await fetch(`http://${haproxy}:${ports.router}/completion`, { method: "POST", headers, body });
    expect(response.status).toBe(200);
    return response.text();
  }

  const ask = (messages: readonly ChatMessage[]) => post(conversationHeaders(messages));

  /** Begins a conversation. @returns the replica that answered and now has it in memory */
  async function begin(name: string): Promise<Replica> {
    const address = await ask(opening(name));
    const replica = replicas.find((each) => each.address === address);
    if (replica === undefined) throw new Error(`${address} is no replica`);
    return replica;
  }

  const names = (prefix: string) => Array.from({ length: 10 }, (_, index) => `${prefix} ${index}`);

  test("the second turns of interleaved conversations reach the replicas that had the first", async () => {
    const conversations = names("turns");
    const homes: string[] = [];
    for (const name of conversations) homes.push(await ask(opening(name)));
    expect(new Set(homes).size).toBe(replicas.length);
    const again: string[] = [];
    // The other way round: taking turns would not hit.
    for (const name of conversations.toReversed()) again.unshift(await ask(secondTurn(name)));
    expect(again).toEqual(homes);
  });

  test("and so do prompts without messages", async () => {
    const prompt = (name: string) => `${name}${"x".repeat(1000)} Q: Are you there? A:`;
    const homes: string[] = [];
    for (const name of names("prompt")) homes.push(await post(promptHeaders(prompt(name))));
    expect(new Set(homes).size).toBe(replicas.length);
    const again: string[] = [];
    for (const name of names("prompt").toReversed()) {
      again.unshift(await post(promptHeaders(`${prompt(name)} Yes. Q: And now? A:`)));
    }
    expect(again).toEqual(homes);
  });

  test("conversations that begin alike do not follow each other", async () => {
    const homes: string[] = [];
    for (let count = 0; count < replicas.length; count++) homes.push(await ask(opening("hello")));
    expect(new Set(homes).size).toBe(replicas.length);
  });

  test("a later turn follows the one before it, wherever that was answered", async () => {
    const home = await begin("moved");
    home.hold();
    const other = ask([
      ...opening("moved"),
      { role: "assistant", content: "No." },
      { role: "user", content: "Go on." },
    ]);
    await expect.poll(() => home.running).toBe(1);
    const second = await ask(secondTurn("moved"));
    home.release();
    expect([second, await other]).not.toEqual([home.address, home.address]);
    const third: ChatMessage[] = [
      ...secondTurn("moved"),
      { role: "assistant", content: "Well." },
      { role: "user", content: "And?" },
    ];
    expect(await ask(third)).toBe(second);
  });

  test("a request longer than HAProxy holds is passed on all the same", async () => {
    expect(replicas.map(({ address }) => address)).toContain(await post({}, "x".repeat(300_000)));
  });

  test("a busy replica is not waited for while another is free", async () => {
    const home = await begin("impatient");
    home.hold();
    const first = ask(secondTurn("impatient"));
    await expect.poll(() => home.running).toBe(1);
    expect(await ask(secondTurn("impatient"))).not.toBe(home.address);
    home.release();
    expect(await first).toBe(home.address);
  });

  test("when none is free, all wait in one queue: the first who came gets the first free replica", async () => {
    const conversations: [string, Replica][] = [];
    for (const name of names("queue")) conversations.push([name, await begin(name)]);
    for (const replica of replicas) replica.hold();
    const busy = replicas.map(() => post());
    await expect.poll(() => replicas.map(({ running }) => running)).toEqual([1, 1, 1]);

    const order: string[] = [];
    const waiting: Promise<unknown>[] = [];
    for (const [name] of conversations) {
      waiting.push(ask(secondTurn(name)).then(() => order.push(name)));
      await expect.poll(() => metric("haproxy_backend_current_queue")).toEqual([waiting.length]);
    }
    // Only one ever becomes free, which two thirds of them were not at before.
    const [free] = replicas;
    free?.releaseOne();
    for (let answered = 1; answered <= conversations.length; answered++) {
      await expect.poll(() => free?.running).toBe(1);
      free?.releaseOne();
      await expect.poll(() => order).toHaveLength(answered);
    }
    await Promise.all(waiting);
    expect(order).toEqual(conversations.map(([name]) => name));
    for (const replica of replicas) replica.release();
    await Promise.all(busy);
    // None ever waited for one certain replica.
    expect(await metric("haproxy_server_max_queue")).toEqual([0, 0, 0]);
  });

  test("more than may wait are told so at once; those that wait are answered, and so is /health", async () => {
    for (const replica of replicas) replica.hold();
    const busy = replicas.map(() => post());
    await expect.poll(() => replicas.map(({ running }) => running)).toEqual([1, 1, 1]);
    // Sixty for each slot, on average, which HAProxy rounds up.
    const waiting = Array.from({ length: 59 * replicas.length + 1 }, () => post());
    await expect.poll(() => metric("haproxy_backend_current_queue")).toEqual([waiting.length]);

    const refused = await fetch(`http://${haproxy}:${ports.router}/completion`, { method: "POST", body: "{}" });
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("30");
    expect(await refused.json()).toMatchObject({ error: { message: expect.stringContaining("busy") as string } });
    for (const port of [ports.edge, ports.health]) {
      expect((await fetch(`http://${haproxy}:${port}/health`)).status).toBe(200);
    }
    // What takes no slot is answered at once.
    expect(await (await fetch(`http://${haproxy}:${ports.router}/tokenize`, { method: "POST" })).text()).toBe("tokens");

    for (const replica of replicas) replica.release();
    await Promise.all([...busy, ...waiting]);
  });

  test("many at once: no replica gets two requests at a time, and none waits for a certain one", async () => {
    const talk = async (client: number) => {
      const messages: ChatMessage[] = opening(`crowd ${client}`);
      for (let turn = 0; turn < 30; turn++) {
        await ask(messages);
        messages.push({ role: "assistant", content: "Yes." }, { role: "user", content: "Go on." });
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, client) => talk(client)));
    expect(replicas.map(({ mostAtOnce }) => mostAtOnce)).toEqual([1, 1, 1]);
    expect(await metric("haproxy_server_max_queue")).toEqual([0, 0, 0]);
  });

  describe("if the replica that remembers", () => {
    test("drains, another answers", async () => {
      const home = await begin("draining");
      home.agent = "drain";
      await expect.poll(() => metric("haproxy_backend_active_servers")).toEqual([2]);
      expect(await ask(secondTurn("draining"))).not.toBe(home.address);
    });

    test("is gone, another answers", async () => {
      const home = await begin("gone");
      await home.stop();
      expect(await ask(secondTurn("gone"))).not.toBe(home.address);
    });

    test("says 503, as while its model loads, another answers", async () => {
      const home = await begin("503");
      home.trouble = "503";
      expect(await ask(secondTurn("503"))).not.toBe(home.address);
    });

    test("ends in the middle of the request, no other is asked: it might end as well", async () => {
      const home = await begin("nothing");
      for (const replica of replicas) replica.trouble = "nothing";
      const asked = () => replicas.reduce((sum, replica) => sum + replica.asked, 0);
      const before = asked();
      const answer = await fetch(`http://${haproxy}:${ports.router}/completion`, {
        method: "POST",
        headers: conversationHeaders(secondTurn("nothing")),
        body: "{}",
      });
      expect([answer.status, home.trouble]).toEqual([502, "nothing"]);
      expect(await answer.json()).toMatchObject({ error: { type: "server_error", code: "engine_failed" } });
      expect(asked()).toBe(before + 1);
    });
  });
});

describe("the real engine, twice", () => {
  let folder: string;
  let model: TestModel;
  let stack: TestStack;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-conversation-"));
    model = await drawModel(folder);
    stack = await TestStack.create({ ...model.settings, replicas: 2 });
    await stack.up();
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test("a second turn finds the first in memory, reads only what is new, and is answered rightly", async () => {
    const { url } = await stack.outputs();
    const digits = [3, 7];
    const conversations = digits.map((digit): Message[] => [
      system,
      { role: "user", content: `Which digit is in this prompt: ${digit}?` },
    ]);
    const first: Turn[] = [];
    for (const messages of conversations) first.push(await turn(url, messages));
    const more: Message = { role: "user", content: "Say it again." };
    const second: Turn[] = [];
    // The other way round: taking turns would not hit.
    for (const [index, messages] of [...conversations.entries()].reverse()) {
      second.unshift(await turn(url, [...messages, { role: "assistant", content: first[index]?.answer ?? "" }, more]));
    }
    for (const turns of [first, second]) {
      expect(turns.map(({ answer }) => answer)).toEqual(digits.map((digit) => model.answer(digit)));
    }
    // The answer's tokens are known, too, but for the last; the template puts a few around each message.
    for (const { prompt, read } of second) expect(read).toBeLessThan(prompt - model.answerTokens);
    for (const { prompt, read } of first) expect(read).toBeGreaterThan(prompt / 2);
  });
});

interface Turn {
  answer: string;
  /** Tokens that the conversation has so far, and how many of them the server had to read. */
  prompt: number;
  read: number;
}

const completion = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]),
  usage: z.object({ prompt_tokens: z.number(), prompt_tokens_details: z.object({ cached_tokens: z.number() }) }),
});

async function turn(url: string, messages: Message[]): Promise<Turn> {
  const body = JSON.stringify({ model: "bitnet", messages, temperature: 0 });
  const response = await fetch(`${url}/chat/completions`, { method: "POST", body });
  const { choices, usage } = completion.parse(await response.json());
  return {
    answer: choices[0].message.content,
    prompt: usage.prompt_tokens,
    read: usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens,
  };
}

/** A server that plays llama-server with one slot, and its entrypoint's agent. It answers with its own address. */
class Replica {
  readonly address: string;
  /** The most that it ever answered at once. */
  mostAtOnce = 0;
  /** How many requests it got. */
  asked = 0;
  #holds = false;
  #running: ServerResponse[] = [];
  /** What it says instead of an answer: 503, as while it loads its model, or nothing at all. */
  trouble: "503" | "nothing" | undefined;
  /** What its entrypoint says to HAProxy's agent-check. */
  agent = "up ready";
  readonly #api = createServer((request, response) => {
    if (request.url === "/health") response.end();
    else if (request.url === "/tokenize") response.end("tokens");
    else
      void text(request).then(() => {
        this.#take(response);
      });
  });
  readonly #agentServer = createTcpServer((socket) => socket.on("error", () => undefined).end(`${this.agent}\n`));

  constructor(address: string) {
    this.address = address;
  }

  async start(): Promise<void> {
    this.#api.listen(8080, this.address);
    this.#agentServer.listen(8081, this.address);
    await Promise.all([once(this.#api, "listening"), once(this.#agentServer, "listening")]);
  }

  async stop(): Promise<void> {
    if (!this.#api.listening) return;
    const closed = [once(this.#api, "close"), once(this.#agentServer, "close")];
    this.#api.close();
    this.#agentServer.close();
    this.#api.closeAllConnections();
    await Promise.all(closed);
  }

  /** Whatever it was made to do, it is as new. */
  async recover(): Promise<void> {
    this.release();
    this.trouble = undefined;
    this.agent = "up ready";
    if (!this.#api.listening) await this.start();
  }

  /** How many requests it is answering. */
  get running(): number {
    return this.#running.length;
  }

  /** From now on it does not end what it is asked, until it is released. */
  hold(): void {
    this.#holds = true;
  }

  release(): void {
    this.#holds = false;
    while (this.running > 0) this.releaseOne();
  }

  releaseOne(): void {
    this.#running.shift()?.end(this.address);
  }

  #take(response: ServerResponse): void {
    this.asked++;
    if (this.trouble === "nothing") response.destroy();
    else if (this.trouble === "503") response.writeHead(503).end();
    else {
      this.#running.push(response);
      this.mostAtOnce = Math.max(this.mostAtOnce, this.running);
      if (!this.#holds)
        setTimeout(() => {
          this.releaseOne();
        }, randomInt(3));
    }
  }
}
