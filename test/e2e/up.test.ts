import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerInspectInfo } from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mayRaiseMemlock } from "../../components/docker/memlock.ts";
import { inBrowser } from "./support/browser.ts";
import { Chatters, chat, client, endless, question, stream } from "./support/chat.ts";
import {
  belongingsOf,
  containerOf,
  containersOf,
  docker,
  inReplica,
  lockedBytes,
  remaining,
  serverProcess,
} from "./support/docker.ts";
import { metric } from "./support/metrics.ts";
import { drawTerminal, takePicture, whileBusy } from "./support/pictures.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import type { Outputs } from "./support/testStack.ts";
import { TestStack } from "./support/testStack.ts";

describe("up, from nothing, on two replicas", () => {
  let folder: string;
  let model: TestModel;
  let stack: TestStack;
  let outputs: Outputs;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-up-"));
    model = await drawModel(folder);
    stack = await TestStack.create({ ...model.settings, replicas: 2, monitoring: true });
    const { output } = await stack.up();
    outputs = await stack.outputs();
    await drawTerminal("npm run up -- --stack offline", output.replaceAll(stack.name, "offline"), "up");
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test("the model says what it was made to say, and ends by itself", async () => {
    expect(await chat(client(outputs.url), 4)).toMatchObject({ text: model.answer(4), finishReason: "stop" });
  });

  test("a stream comes token by token, 200 and more of them, to the last one", async () => {
    const { text, finishReason, pieces } = await stream(client(outputs.url), 8);
    expect(text).toBe(model.answer(8));
    expect(finishReason).toBe("stop");
    expect(pieces.length).toBeGreaterThanOrEqual(200);
    // What somebody on the way had kept back would come all at once, at the end.
    const [first = 0, last = 0] = [pieces.at(0), pieces.at(-1)];
    expect(last - first).toBeGreaterThan(0.2 * last);
  });

  test("ten clients at once, plain and streaming, each get their own answer", async () => {
    const openai = client(outputs.url);
    const digits = [...Array(10).keys()];
    const answers = await Promise.all(digits.map((digit) => (digit % 2 === 0 ? chat : stream)(openai, digit)));
    expect(answers.map(({ text }) => text)).toEqual(digits.map((digit) => model.answer(digit)));
  });

  test.each([true, false])(
    "a client that leaves frees its slot; another's answer goes on. Streaming: %s",
    async (streaming) => {
      const busy = () => metric(outputs, ["llama-1", "llama-2"], "llamacpp:requests_processing");
      const ask = async (digit: number, signal?: AbortSignal) => {
        const body = { model: "bitnet", messages: question(digit), stream: streaming, ...endless };
        const answer = await client(outputs.url).chat.completions.create(body, { signal });
        if (Symbol.asyncIterator in answer) for await (const chunk of answer) expect(chunk.choices).toBeDefined();
      };
      const [leaving, staying] = [new AbortController(), new AbortController()];
      const answers = Promise.allSettled([ask(3, leaving.signal), ask(4, staying.signal)]);
      await expect.poll(busy, { timeout: 10_000, interval: 20 }).toBe(2);
      leaving.abort();
      const left = performance.now();
      // Both would end at the same time.
      await expect.poll(busy, { timeout: 10_000, interval: 20 }).toBe(1);
      console.info(`the slot was free after ${Math.round(performance.now() - left)} ms`);
      staying.abort();
      expect((await answers).map(({ status }) => status)).toEqual(
        streaming ? ["fulfilled", "fulfilled"] : ["rejected", "rejected"],
      );
    },
  );

  test('a request for model "bitnet" is answered under the model\'s own name', async () => {
    const messages = [{ role: "user" as const, content: "1" }];
    const completion = await client(outputs.url).chat.completions.create({
      model: "bitnet",
      messages,
      max_completion_tokens: 4,
    });
    expect(outputs.model).toBe(model.name);
    expect(completion.model).toBe(model.name);
    expect(completion.usage?.completion_tokens).toBe(4);
  });

  test("/v1/models names the model, and nothing else", async () => {
    const { data } = await client(outputs.url).models.list();
    expect(data.map(({ id }) => id)).toEqual([model.name]);
  });

  test("/v1/completions continues a text", async () => {
    const prompt = "Which digit is in this prompt: 6?";
    const { choices } = await client(outputs.url).completions.create({ model: "bitnet", prompt, max_tokens: 300 });
    expect(choices.map(({ text }) => text)).toEqual([model.answer(6)]);
  });

  test("/health is 200", async () => {
    expect((await fetch(outputs.healthUrl)).status).toBe(200);
  });

  test("/metrics of the load balancer is Prometheus text that counts both replicas as up", async () => {
    const metrics = await (await fetch(outputs.metricsUrl)).text();
    expect(metrics).toMatch(/^haproxy_backend_active_servers\{proxy="replicas"\} 2$/m);
  });

  test("the statistics page shows the replicas, on loopback", async () => {
    expect(new URL(outputs.statsUrl).hostname).toBe("127.0.0.1");
    expect(await (await fetch(outputs.statsUrl)).text()).toMatch(/replicas.*llama-1.*llama-2/s);
  });

  test("the built-in web page chats", async () => {
    // A good piece of the answer: the page folds spaces and lines.
    const expected = model.answer(5).slice(0, 60);
    await inBrowser(async (page) => {
      await page.goto(new URL("/", outputs.url).href);
      const input = page.locator("textarea").first();
      await input.fill("Which digit is in this prompt: 5?");
      await input.press("Enter");
      await expect.poll(() => page.locator("body").innerText(), { timeout: 60_000 }).toContain(expected);
      await takePicture(page, "chat");
    });
  });

  test("the dashboard shows the tokens that clients got, both replicas with their memory, and no error", async () => {
    await chat(client(outputs.url), 1);
    const written = await tokensWritten(outputs);
    expect(written).toBeGreaterThan(200);
    await inBrowser(async (page) => {
      const complaints: string[] = [];
      page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
      await page.goto(String(outputs.dashboardUrl));
      const tile = (id: string) => page.locator(`output#${id}`).innerText();
      await expect
        .poll(async () => Number((await tile("tokens")).replaceAll(",", "")), { timeout: 60_000 })
        .toBe(written);
      await expect.poll(() => tile("replicas"), { timeout: 60_000 }).toBe("2");
      const memory = page.locator("figure", { hasText: "Memory" });
      await expect.poll(() => memory.innerText(), { timeout: 60_000 }).toMatch(/replica [\d.]+[^]*replica [\d.]+/);
      await page.locator("#range").selectOption("300");
      await whileBusy(() => new Chatters(4, client(outputs.url), (digit) => [model.answer(digit)]));
      await takePicture(page, "dashboard");
      expect(complaints).toEqual([]);
      expect(await page.locator("#problem").isHidden()).toBe(true);
    });
  });

  test("Prometheus finds gateways, load balancer and replicas, and knows how much memory replicas have locked", async () => {
    const values = async (query: string) => {
      const url = new URL(`/api/v1/query?query=${encodeURIComponent(query)}`, outputs.dashboardUrl);
      const { data } = (await (await fetch(url)).json()) as { data: { result: { value: [number, string] }[] } };
      return data.result.map(({ value }) => Number(value[1]));
    };
    await expect.poll(() => values("sum by (job) (up)"), { timeout: 60_000 }).toHaveLength(5);
    await expect.poll(() => values("count(up == 1)"), { timeout: 60_000 }).toEqual([8]);
    const locked = await Promise.all(
      (await containersOf(stack.name, "replica")).map(async ({ Id }) =>
        lockedBytes(await serverProcess(inReplica(Id))),
      ),
    );
    expect((await values("bitnet_replica_locked_memory_bytes")).sort()).toEqual(locked.sort());
  });

  test("each replica has CPUs of its own, locked memory, and no more rights than it needs", async () => {
    const replicas = await containersOf(stack.name, "replica");
    expect(replicas).toHaveLength(2);
    const cpus = replicas.flatMap(({ HostConfig }) => HostConfig.CpusetCpus?.split(",") ?? []);
    expect(cpus).not.toContain("");
    expect(new Set(cpus).size).toBe(cpus.length);
    const raised = await mayRaiseMemlock();
    for (const { HostConfig, Config } of replicas) {
      expect(Config.Image).toBe(outputs.image);
      expect(HostConfig.CapDrop).toEqual(["ALL"]);
      expect((HostConfig.CapAdd as string[]).map((name) => name.replace(/^CAP_/, ""))).toContain("IPC_LOCK");
      const processes = { Name: "nproc", Soft: 8192, Hard: 8192 };
      expect(HostConfig.Ulimits).toEqual([...(raised ? [{ Name: "memlock", Soft: -1, Hard: -1 }] : []), processes]);
      expect(HostConfig.ReadonlyRootfs).toBe(true);
      expect(HostConfig.SecurityOpt).toContain("no-new-privileges");
      expect(HostConfig.Memory).toBeGreaterThan(0);
      expect(HostConfig.RestartPolicy?.Name).toBe("unless-stopped");
    }
  });

  test("the server is uid 65532, holds IPC_LOCK alone, and has the whole model locked in RAM", async () => {
    for (const { Id, HostConfig } of await containersOf(stack.name, "replica")) {
      const server = await serverProcess(inReplica(Id));
      const ipcLock = "0000000000004000"; // bit 14: linux/capability.h
      expect(server.status).toMatchObject({
        Uid: "65532\t65532\t65532\t65532",
        Gid: "65532\t65532\t65532\t65532",
        Groups: "",
        ...{ CapEff: ipcLock, CapPrm: ipcLock, CapBnd: ipcLock, NoNewPrivs: "1" },
      });
      expect(server.status.Cpus_allowed_list?.replace("-", ",")).toBe(HostConfig.CpusetCpus);
      expect(lockedBytes(server)).toBeGreaterThanOrEqual(server.modelBytes);
    }
  });

  test("only the load balancer can be reached from outside, and only on loopback", async () => {
    const label = [`bitnet-server.stack=${stack.name}`];
    const containers = await docker.listContainers({ filters: { label } });
    const open = containers.flatMap(({ Ports, Labels }) =>
      Ports.filter(({ PublicPort }) => PublicPort).map(({ IP }) => `${String(Labels["bitnet-server.role"])} ${IP}`),
    );
    const [twice, once] = ["load-balancer 127.0.0.1", ["monitoring 127.0.0.1", "registry 127.0.0.1"]];
    expect(open.sort()).toEqual([twice, twice, ...once]);
  });

  test("up again changes nothing", async () => {
    const ids = await idsOf(stack.name);
    const { output } = await stack.up();
    expect(output).toContain("no change");
    expect(await idsOf(stack.name)).toEqual(ids);
  });

  test("preview then says so, too", async () => {
    const { exitCode, output } = await stack.run("preview");
    expect(exitCode, output).toBe(0);
    expect(output).toContain("no change");
  });

  test("a replica that somebody removed: refresh notes it, up makes it anew and leaves the rest alone", async () => {
    const [victim, other] = await containersOf(stack.name, "replica");
    await docker.getContainer(victim?.Id ?? "").remove({ force: true });
    const { exitCode, output } = await stack.run("refresh");
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(/refreshed: .*1 /);
    await stack.up();
    const ids = (await containersOf(stack.name, "replica")).map(({ Id }) => Id);
    expect(ids).toHaveLength(2);
    expect(ids).toContain(other?.Id);
    expect(ids).not.toContain(victim?.Id);
  });

  test("a replica whose server is killed is restarted; four clients that ask from then on see no failure", async () => {
    const [victim] = await containersOf(stack.name, "replica");
    await killServer(victim?.Id ?? "");
    const chatters = new Chatters(4, client(outputs.url), (digit) => [model.answer(digit)]);
    await restarted(victim);
    await expect.poll(() => chatters.answered, { timeout: 60_000 }).toBeGreaterThan(4);
    await chatters.stop();
    expect(chatters.failures).toEqual([]);
  });

  test("a replica that stands still is taken out within seconds, and restarted; others are answered meanwhile", async () => {
    const [victim, other] = await containersOf(stack.name, "replica");
    await haltServer(victim?.Id ?? "");
    const openai = client(outputs.url);
    const began = performance.now();
    // Whoever was sent to it meanwhile is told so: it may have begun to answer.
    const asked = [0, 1, 2, 3].map((digit) =>
      chat(openai, digit).then(({ text }) => text === model.answer(digit), String),
    );
    const outcomes = await Promise.all(asked);
    console.info(`all were answered or told after ${Math.round(performance.now() - began)} ms:`, outcomes);
    expect(outcomes).toContain(true);
    for (const outcome of outcomes) expect(String(outcome)).toMatch(/^true$|502|ended/);
    for (const digit of [4, 5, 6]) expect((await chat(openai, digit)).text).toBe(model.answer(digit));
    await restarted(victim);
    const { RestartCount } = await docker.getContainer(other?.Id ?? "").inspect();
    expect(RestartCount).toBe(other?.RestartCount);
  });

  test("a gateway that is killed takes only its own requests with it: their clients get an error, others see no failure", async () => {
    const [victim] = await containersOf(stack.name, "gateway");
    const openai = client(outputs.url);
    // One on each gateway, as both have as few.
    const streams = Promise.allSettled([stream(openai, 1, endless), stream(openai, 2, endless)]);
    await expect
      .poll(() => metric(outputs, ["gateway-1"], "bitnet_gateway_requests_running"), { timeout: 10_000, interval: 20 })
      .toBe(1);
    // Docker starts no container again that it was told to kill.
    await execa("kill", ["-KILL", String(victim?.State.Pid)]);
    // Until it has ended, its port takes connections, whose requests are its own.
    await expect.poll(() => existsSync(`/proc/${victim?.State.Pid ?? 0}`), { interval: 5 }).toBe(false);
    const chatters = new Chatters(4, openai, (digit) => [model.answer(digit)]);
    await expect
      .poll(async () => (await docker.getContainer(victim?.Id ?? "").inspect()).RestartCount, { timeout: 60_000 })
      .toBe(1);
    await expect.poll(() => chatters.answered, { timeout: 60_000 }).toBeGreaterThan(4);
    await chatters.stop();
    expect(chatters.failures).toEqual([]);
    const outcomes = await streams;
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(outcomes).toContainEqual({
      status: "fulfilled",
      value: expect.objectContaining({ finishReason: "length" }) as object,
    });
  });

  test("an answer that is not the expected one fails the update, and says what came instead", async () => {
    stack.configure({ smokeAnswer: "something else" });
    const { exitCode, output } = await stack.run("up");
    expect(exitCode).not.toBe(0);
    expect(output).toContain("expected: something else");
    // The beginning is enough to see what is wrong.
    expect(output).toContain(`answered: ${model.answer(7).slice(0, 100)}`);
    stack.configure(model.settings);
  });

  test("destroy leaves nothing: no container, network, volume or image, and with the registry's volume no blob", async () => {
    const belongings = await belongingsOf(stack);
    expect(new Set(belongings.map((thing) => thing.split(" ")[0])).size).toBe(4);
    const { exitCode, output } = await stack.run("destroy");
    expect(exitCode, output).toBe(0);
    expect(await remaining(belongings)).toEqual([]);
    expect(await belongingsOf(stack)).toEqual([]);
    await expect(fetch(outputs.healthUrl)).rejects.toThrow("fetch failed");
  });
});

async function killServer(container: string): Promise<void> {
  const { pid } = await serverProcess(inReplica(container));
  await inReplica(container)(`kill -KILL ${pid}`);
}

async function haltServer(container: string): Promise<void> {
  const { pid } = await serverProcess(inReplica(container));
  await inReplica(container)(`kill -STOP ${pid}`);
}

/** Waits until a replica was started again and is healthy. */
async function restarted(replica: ContainerInspectInfo | undefined): Promise<void> {
  const healthySince = async () => {
    const { State } = await docker.getContainer(replica?.Id ?? "").inspect();
    return State.Health?.Status === "healthy" ? State.StartedAt : replica?.State.StartedAt;
  };
  await expect.poll(healthySince, { timeout: 300_000, interval: 1000 }).not.toBe(replica?.State.StartedAt);
}

async function idsOf(stack: string): Promise<string[]> {
  const [replicas, gateways, ...others] = await Promise.all([
    containersOf(stack, "replica"),
    containersOf(stack, "gateway"),
    containerOf(stack, "load-balancer"),
    containerOf(stack, "registry"),
    containerOf(stack, "monitoring"),
  ]);
  return [...replicas, ...gateways, ...others].map(({ Id }) => Id);
}

/** What both gateways have counted. */
async function tokensWritten(outputs: Outputs): Promise<number> {
  return metric(outputs, ["gateway-1", "gateway-2"], "bitnet_gateway_completion_tokens_total");
}
