import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { tools } from "../../../cli/paths.ts";
import { chat, client, stream } from "../support/chat.ts";
import { docker, inReplica, lockedBytes, replicaRights, serverProcess } from "../support/docker.ts";
import { Held } from "../support/held.ts";
import { freePort, isHealthy } from "../support/net.ts";
import type { TestModel } from "../support/testModel.ts";
import { drawModel } from "../support/testModel.ts";
import { buildImage, layersOf } from "./build.ts";

const image = "bitnet-server-test";
const changedImage = "bitnet-server-test-changed";
let folder: string;
let model: TestModel;
const running: Server[] = [];
const mayNotLock = ["--user=65532:65532", "--ulimit=memlock=65536:65536"];
/** For what comes within a second or two, unless the machine has much else to do. */
const patience = { timeout: 60_000 };

beforeAll(async () => {
  folder = await mkdtemp(join(tools, "image-test-"));
  model = await drawModel(folder);
  const { succeeded, output } = await buildImage({ files: { model: model.path }, tag: image });
  if (!succeeded) throw new Error(output);
});

afterAll(async () => {
  await Promise.all(running.map(({ id }) => docker.getContainer(id).remove({ force: true })));
  await execa("docker", ["rmi", image, changedImage], { reject: false });
  await rm(folder, { recursive: true });
});

interface Server {
  id: string;
  url: string;
  /** Of the API, and of HAProxy's agent-check, on 127.0.0.1. */
  port: number;
  drainPort: number;
}

async function start(
  environment: Readonly<Record<string, string>> = {},
  flags: string[] = [],
  rights = replicaRights,
): Promise<Server> {
  const [port, drainPort] = [await freePort(), await freePort()];
  const ports = [`--publish=127.0.0.1:${port}:8080`, `--publish=127.0.0.1:${drainPort}:8081`];
  const variables = Object.entries(environment).map(([name, value]) => `--env=${name}=${value}`);
  const { stdout: id } = await execa("docker", ["run", "--detach", ...rights, ...flags, ...ports, ...variables, image]);
  const server = { id, port, drainPort, url: `http://127.0.0.1:${port}/v1` };
  running.push(server);
  await vi.waitUntil(async () => {
    if (await isHealthy(`http://127.0.0.1:${port}`)) return true;
    if ((await docker.getContainer(id).inspect()).State.Running) return false;
    throw new Error((await execa("docker", ["logs", id], { all: true })).all);
  }, patience);
  return server;
}

/** A container that is not ready yet, as soon as a process with this in its command line runs in it. */
async function startLoading(flags: string[], process: string): Promise<Docker.Container> {
  const { stdout: id } = await execa("docker", ["run", "--detach", ...replicaRights, ...flags, image]);
  running.push({ id, url: "", port: 0, drainPort: 0 });
  const container = docker.getContainer(id);
  const processes = async () => ((await container.top()) as { Processes: string[][] }).Processes.flat().join("\n");
  await expect.poll(processes, patience).toContain(process);
  return container;
}

/** Runs a container that is expected to end by itself. */
async function runToEnd(...args: string[]): Promise<{ exitCode: number | undefined; output: string }> {
  const { exitCode, all } = await execa("docker", ["run", "--rm", ...args], { all: true, reject: false });
  return { exitCode, output: all };
}

async function exitCode({ id }: Server): Promise<number> {
  return ((await docker.getContainer(id).wait()) as { StatusCode: number }).StatusCode;
}

/** Runs a script in the container as the server's user, with $server as the server's process id. */
function inside({ id }: Server, script: string) {
  const findServer = "server=$(grep -lx llama-server /proc/[0-9]*/comm | cut -d/ -f3)";
  // Of its own environment it knows nothing: the container's has the keys in it.
  const flags = ["--interactive", "--user=65532:65532", "--env=API_KEY="];
  return execa("docker", ["exec", ...flags, id, "bash", "-ec", `${findServer}; ${script}`]);
}

async function outputOf(server: Server, script: string): Promise<string> {
  return (await inside(server, script)).stdout;
}

/** /proc/<pid>/status of the server, by field. */
async function serverStatus(server: Server): Promise<Readonly<Record<string, string>>> {
  const lines = (await outputOf(server, "cat /proc/$server/status")).split("\n");
  return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
}

/** What HAProxy's agent-check is told. */
async function agentState({ drainPort }: Server): Promise<string> {
  return text(connect(drainPort, "127.0.0.1"));
}

/** A stream that has begun, of a server that then stands still until it gets SIGCONT. */
async function haltedStream(server: Server, digit: number): Promise<{ rest: Promise<string> }> {
  // Until its watcher has seen it answer, a halted server cannot be told from one that still loads its model.
  await expect.poll(() => agentState(server), patience).toBe("up ready\n");
  // Ready to halt it before it begins: `docker exec` may take longer than the whole answer.
  const halt = inside(server, "echo ready; read; kill -STOP $server");
  await once(halt.stdout, "data");
  // Far longer than the model's own answer, so that no machine is done with it before the server is halted.
  const messages = [{ role: "user", content: String(digit) }];
  const body = JSON.stringify({ messages, stream: true, ignore_eos: true, max_tokens: 1000 });
  const { body: bytes } = await fetch(`${server.url}/chat/completions`, { method: "POST", body });
  if (bytes === null) throw new Error("no answer");
  const reader = bytes.pipeThrough(new TextDecoderStream()).getReader();
  const { value: start = "" } = await reader.read();
  halt.stdin.end("now\n");
  await halt;
  return { rest: readOn(reader, start) };
}

/** The text of a stream of which the start was read. Throws if the stream is cut. */
async function readOn(reader: ReadableStreamDefaultReader<string>, start: string): Promise<string> {
  let events = start;
  for (let read = await reader.read(); !read.done; read = await reader.read()) events += read.value;
  expect(events).toContain("data: [DONE]");
  return [...events.matchAll(/"content":"([^"]*)"/g)].map(([, piece]) => piece).join("");
}

describe("a running server", () => {
  let server: Server;
  const keys = ["first-key-of-the-test", "second-key-of-the-test"];

  beforeAll(async () => {
    server = await start({ API_KEY: keys.join(",") });
  });

  test("answers whatever name a request asks for under the model's own", async () => {
    const openai = client(server.url, keys[0]);
    const messages = [{ role: "user" as const, content: "4" }];
    const plain = await openai.chat.completions.create({ model: "bitnet", messages });
    expect(plain.model).toBe(model.name);
    for await (const chunk of await openai.chat.completions.create({ model: "bitnet", messages, stream: true })) {
      expect(chunk.model).toBe(model.name);
    }
    const completion = await openai.completions.create({ model: "bitnet", prompt: "4", max_tokens: 8 });
    expect(completion.model).toBe(model.name);
    const { data } = await openai.models.list();
    expect(data.map(({ id }) => id)).toEqual([model.name]);
  });

  test("answers rightly, plain and streaming, with each of its keys", async () => {
    for (const key of keys) {
      expect((await chat(client(server.url, key), 5)).text).toBe(model.answer(5));
      expect((await stream(client(server.url, key), 6)).text).toBe(model.answer(6));
    }
  });

  test("forgets one request's ignore_eos and logit_bias before the next", async () => {
    const headers = { authorization: `Bearer ${keys[0] ?? ""}` };
    const messages = [{ role: "user", content: "5" }];
    const body = JSON.stringify({ messages, max_tokens: 4, ignore_eos: true, logit_bias: [[model.answer(5), -100]] });
    const { status } = await fetch(`${server.url}/chat/completions`, { method: "POST", headers, body });
    expect(status).toBe(200);
    const answer = await chat(client(server.url, keys[0]), 5);
    expect(answer).toMatchObject({ text: model.answer(5), finishReason: "stop" });
  });

  test("refuses a request without a key", async () => {
    await expect(chat(client(server.url, "wrong"), 5)).rejects.toMatchObject({ status: 401 });
  });

  test("is a process of user 65532 that may lock memory, and nothing else", async () => {
    const status = await serverStatus(server);
    expect(status.Uid).toBe("65532\t65532\t65532\t65532");
    expect(status.Gid).toBe("65532\t65532\t65532\t65532");
    const onlyIpcLock = "0000000000004000";
    expect(status).toMatchObject({ CapPrm: onlyIpcLock, CapEff: onlyIpcLock, CapBnd: onlyIpcLock, NoNewPrivs: "1" });
  });

  test("has the whole model locked in memory", async () => {
    const { VmLck = "" } = await serverStatus(server);
    const modelBytes = Number(await outputOf(server, "stat -c %s /model/model.gguf"));
    expect(Number.parseInt(VmLck) * 1024).toBeGreaterThanOrEqual(modelBytes);
  });

  test("has its keys on no command line and in no process's environment", async () => {
    const known = await outputOf(server, "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'");
    expect(known).toContain("llama-server");
    for (const key of keys) expect(known).not.toContain(key);
  });

  test("tells HAProxy that it takes requests", async () => {
    await expect.poll(() => agentState(server)).toBe("up ready\n");
  });
});

describe("a server that is told to stop", () => {
  /** These tests halt it meanwhile. */
  const mayStall = { STALL_TIMEOUT: "600" };

  test("finishes a running stream, takes what still comes, then ends well", async () => {
    const server = await start(mayStall);
    const { rest } = await haltedStream(server, 3);
    await docker.getContainer(server.id).kill({ signal: "SIGTERM" });
    // HAProxy sent this one just before it heard of that.
    const late = stream(client(server.url), 8);
    await expect.poll(() => agentState(server), patience).toBe("drain\n");
    await inside(server, "kill -CONT $server");
    expect((await rest).slice(0, model.answer(3).length)).toBe(model.answer(3));
    expect(await late).toMatchObject({ text: model.answer(8), finishReason: "stop" });
    expect(await exitCode(server)).toBe(0);
  });

  test("goes on as before for DRAIN_DELAY", async () => {
    const server = await start({ DRAIN_DELAY: "10" });
    await expect.poll(() => agentState(server), patience).toBe("up ready\n");
    await docker.getContainer(server.id).kill({ signal: "SIGTERM" });
    expect(await agentState(server)).toBe("up ready\n");
    await expect.poll(() => agentState(server), patience).toBe("drain\n");
  });

  test("ends well while its model loads: there is nothing to finish", async () => {
    // It never gets ready.
    const stuck = join(folder, "stuck");
    await writeFile(stuck, "#!/bin/bash\nexec sleep 3600\n", { mode: 0o755 });
    const container = await startLoading([`--volume=${stuck}:/usr/local/bin/llama-server:ro`], "sleep 3600");
    await container.kill({ signal: "SIGTERM" });
    expect(await container.wait()).toMatchObject({ StatusCode: 0 });
  });

  test.each([
    ["a second SIGTERM", ["SIGTERM", "SIGTERM"]],
    ["SIGINT (Ctrl-C)", ["SIGINT"]],
  ])("ends at once on %s", async (_, signals) => {
    const server = await start(mayStall);
    const { rest } = await haltedStream(server, 3);
    const cut = expect(rest).rejects.toThrow();
    const began = Date.now();
    for (const signal of signals) {
      await docker.getContainer(server.id).kill({ signal });
      await sleep(200);
    }
    await exitCode(server);
    expect(Date.now() - began).toBeLessThan(60_000); // not DRAIN_TIMEOUT
    await cut;
  });

  test("waits for a running stream no longer than DRAIN_TIMEOUT", async () => {
    const server = await start({ ...mayStall, DRAIN_TIMEOUT: "1" });
    const { rest } = await haltedStream(server, 3);
    const cut = expect(rest).rejects.toThrow();
    await docker.getContainer(server.id).kill({ signal: "SIGTERM" });
    expect(await exitCode(server)).not.toBe(0);
    await cut;
  });
});

test("a first answer that is not the one expected ends the server before anybody else is let in", async () => {
  const question = "Which digit is in this prompt: 7?";
  const wrong = [`--env=SMOKE_PROMPT=${question}`, "--env=SMOKE_ANSWER=eight", "--env=API_KEY=the-first-key"];
  const { exitCode, output } = await runToEnd(...replicaRights, ...wrong, image);
  expect(exitCode).toBe(1);
  expect(output).toContain(`asked: ${question}\n  expected: eight\n  answered: ${model.answer(7).slice(0, 100)}`);

  const right = { SMOKE_PROMPT: question, SMOKE_ANSWER: model.answer(7), API_KEY: "the-first-key" };
  const server = await start(right, ["--health-interval=1s"]);
  const health = async () => (await docker.getContainer(server.id).inspect()).State.Health?.Status;
  await expect.poll(health, patience).toBe("healthy");
  expect(await agentState(server)).toBe("up ready\n");
});

test("a name with line breaks in it is served without them", async () => {
  const server = await start({ MODEL_ALIAS: "two\nlines\n" });
  const { data } = await client(server.url).models.list();
  expect(data.map(({ id }) => id)).toEqual(["twolines"]);
});

describe("a server that makes no progress is ended, so that the restart policy starts it anew", () => {
  const idle = /llama-server has something to do and does not compute for 3 s; ending it/;

  test.each([
    ["it is halted", {}, idle, "kill -STOP $server"],
    // Its /health is fine meanwhile, and so is its main loop: no slot has this number.
    ["a request waits for ever", {}, idle, `"$ask" 600 /completion '{"prompt":"1","id_slot":77}' >/dev/null 2>&1 &`],
    ["it says nothing", { STALL_TIMEOUT: "600", HANG_TIMEOUT: "2" }, /has not answered for 2 s;/, "kill -STOP $server"],
  ])("%s", async (_, environment, says, script) => {
    const server = await start(environment);
    await expect.poll(() => agentState(server), patience).toBe("up ready\n");
    await inside(server, `ask=/opt/bitnet-server/ask.sh; ${script}`);
    const began = performance.now();
    expect(await exitCode(server)).not.toBe(0);
    console.info(`ended after ${Math.round(performance.now() - began)} ms`);
    expect((await execa("docker", ["logs", server.id], { all: true })).all).toMatch(says);
  });

  test("one whose threads for HTTP are all held by half-sent requests goes on, and answers when their senders have gone", async () => {
    const server = await start({ STALL_TIMEOUT: "1", HANG_TIMEOUT: "60" });
    await expect.poll(() => agentState(server), patience).toBe("up ready\n");
    const half = "POST /completion HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{";
    const held = new Held(server.port, 80, half); // it has 64 threads
    await held.opened();
    const unanswered = () => chat(client(server.url).withOptions({ timeout: 1000, maxRetries: 0 }), 3);
    await expect.poll(() => unanswered().catch(() => "none"), patience).toBe("none");
    // Many times as long as it may stand still.
    await sleep(6_000);
    expect((await docker.getContainer(server.id).inspect()).State.Running).toBe(true);
    await held.close();
    await expect.poll(async () => (await chat(client(server.url), 3)).text, patience).toBe(model.answer(3));
  });

  test("one whose threads for HTTP all wait for ever is ended", async () => {
    const server = await start({ STALL_TIMEOUT: "600", HANG_TIMEOUT: "2" });
    await expect.poll(() => agentState(server), patience).toBe("up ready\n");
    const body = '{"prompt":"1","id_slot":77}';
    const request = `POST /completion HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const held = new Held(server.port, 80, request);
    await held.opened();
    expect(await exitCode(server)).not.toBe(0);
    await held.close();
    expect((await execa("docker", ["logs", server.id], { all: true })).all).toContain("has not answered for 2 s");
  });

  test("one that reads a long prompt on a twentieth of a core is merely busy", async () => {
    const server = await start({ STALL_TIMEOUT: "1" });
    await expect.poll(() => agentState(server), patience).toBe("up ready\n");
    await docker.getContainer(server.id).update({ CpuPeriod: 100_000, CpuQuota: 5_000 });
    const body = JSON.stringify({ prompt: "x".repeat(3000), max_tokens: 1 });
    const began = performance.now();
    const response = await fetch(`${server.url}/completions`, { method: "POST", body });
    expect(response.status).toBe(200);
    await response.text();
    // Many times as long as one may stand still.
    expect(performance.now() - began).toBeGreaterThan(5_000);
  });
});

test("the exit status of a server that crashes is the container's", async () => {
  const server = await start();
  await inside(server, "kill -SEGV $server");
  expect(await exitCode(server)).toBe(128 + 11);
});

describe("a container that cannot serve says why in one line", () => {
  test("memory cannot be locked: what to add", async () => {
    const { exitCode, output } = await runToEnd(...mayNotLock, image);
    expect(output).toContain("add --cap-add IPC_LOCK --ulimit memlock=-1:-1");
    expect(output.split("\n")).toHaveLength(1);
    expect(exitCode).toBe(1);
  });

  test("the CPU lacks instructions that the image was compiled for: status 78", async () => {
    const instructions = join(folder, "instructions");
    await writeFile(instructions, "avx2048 \n");
    const mount = `--volume=${instructions}:/opt/bitnet-server/instructions:ro`;
    const { exitCode, output } = await runToEnd(mount, image);
    expect(output).toMatch(/^bitnet-server: this CPU lacks avx2048, .*--build-arg CPU_TARGET=.*$/);
    expect(exitCode).toBe(78);
  });

  test.each([
    ["CONTEXT_SIZE", "8192", "this model's is at most 4096"],
    ["PARALLEL", "9", "ik_llama.cpp answers rightly at most 8 at once"],
    ["THREADS", "two", "a whole number of at least 1"],
    ["LOCK_MEMORY", "yes", "required, try or off"],
  ])("%s=%s", async (name, value, right) => {
    const { exitCode, output } = await runToEnd(`--env=${name}=${value}`, image);
    expect(output).toMatch(new RegExp(`^bitnet-server: ${name}=${value}: .*${right}`));
    expect(exitCode).toBe(1);
  });

  test("capabilities that the entrypoint needs are missing", async () => {
    const { exitCode, output } = await runToEnd("--cap-drop=ALL", image);
    expect(output).toContain("add the capabilities SETUID, SETGID and SETPCAP, or start with --user 65532:65532");
    expect(exitCode).toBe(1);
  });
});

describe("an image that its builder could not run", () => {
  const inImage = "/opt/bitnet-server/self-test";
  let pending: string;

  beforeAll(async () => {
    pending = join(folder, "pending");
    await writeFile(pending, "");
  });

  test("tests its engine when it starts", async () => {
    const server = await start({}, [`--volume=${pending}:${inImage}/pending:ro`]);
    const { all } = await execa("docker", ["logs", server.id], { all: true });
    expect(all).toMatch(/self-test: \d+ answers of ik_llama.cpp with up to 8 slots, all as they should be/);
  });

  test("can be stopped while it does", async () => {
    const container = await startLoading([`--volume=${pending}:${inImage}/pending:ro`], "self-test");
    await container.kill({ signal: "SIGTERM" });
    expect(await container.wait()).toMatchObject({ StatusCode: 0 });
    const { all } = await execa("docker", ["logs", container.id], { all: true });
    expect(all).not.toContain("all as they should be");
  });

  test("does not serve with an engine that answers wrongly", async () => {
    const questions = join(folder, "questions.txt");
    const { stdout } = await execa("docker", ["run", "--rm", "--entrypoint=cat", image, `${inImage}/questions.txt`]);
    await writeFile(questions, stdout.replaceAll(/\t.*$/gm, "\tThere is none."));
    const volumes = [`${pending}:${inImage}/pending:ro`, `${questions}:${inImage}/questions.txt:ro`];
    const { exitCode, output } = await runToEnd(
      ...replicaRights,
      ...volumes.map((volume) => `--volume=${volume}`),
      image,
    );
    expect(output).toMatch(/a wrong answer to ".+": it should be "There is none\."/);
    expect(exitCode).toBe(1);
  });
});

test("LOCK_MEMORY=try: where memory cannot be locked it says so, and serves with a part of it", async () => {
  const server = await start({ LOCK_MEMORY: "try" }, [], mayNotLock);
  expect((await chat(client(server.url), 3)).text).toBe(model.answer(3));
  const process = await serverProcess(inReplica(server.id));
  expect(lockedBytes(process)).toBeLessThan(process.modelBytes);
  const { all } = await execa("docker", ["logs", server.id], { all: true });
  expect(all).toContain("the model cannot be locked in memory (at most 64 kB may be locked)");
});

describe("the image", () => {
  test("is the model and at most 250 MB", async () => {
    const { Size } = await docker.getImage(image).inspect();
    const { stdout } = await execa("docker", ["run", "--rm", "--entrypoint=stat", image, "-c%s", "/model/model.gguf"]);
    expect(Size - Number(stdout)).toBeLessThan(250e6);
  });

  test("has no compiler, no Python and nothing to download with", async () => {
    const programs = "gcc g++ cc clang c++ cmake ninja make python3 curl wget git ld as";
    const script = `for p in ${programs}; do command -v $p; done; true`;
    const { stdout } = await execa("docker", ["run", "--rm", "--entrypoint=sh", image, "-c", script]);
    expect(stdout).toBe("");
  });

  test("with another model: nothing is compiled", async () => {
    const other = await drawModel(folder);
    const { output } = await buildImage({ files: { model: other.path } });
    expect(stepOf(output, "/build/build-engine.sh")).toContain("CACHED");
    expect(stepOf(output, "/build/fetch-model.sh")).not.toContain("CACHED");
  });

  test("with another entrypoint: nothing is compiled or downloaded, and under 1 MB is pushed", async () => {
    const { output } = await buildImage({
      files: { model: model.path },
      tag: changedImage,
      change: (context) => writeFile(join(context, "runtime/entrypoint.sh"), "# another\n", { flag: "a" }),
    });
    for (const step of ["/build/build-engine.sh", "/build/fetch-model.sh", "/build/self-test.sh"]) {
      expect(stepOf(output, step)).toContain("CACHED");
    }
    const layers = await Promise.all([image, changedImage].map((name) => layersOf(name)));
    const [before = [], after = []] = layers;
    const added = after.filter(({ id }) => !before.some((layer) => layer.id === id));
    expect(added).toHaveLength(1);
    expect(added[0]?.bytes).toBeLessThan(1e6);
  });
});

/** What a build's plain output says of the step whose command has this in it. */
function stepOf(output: string, command: string): string {
  const steps = output.split(/\n\n(?=#\d+ )/).filter((step) => step.includes(command));
  if (steps.length === 0) throw new Error(`no step runs ${command}:\n${output}`);
  return steps.join("\n");
}
