import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type OpenAI from "openai";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { tools } from "../../../cli/paths.ts";
import { chat, client, stream } from "../support/chat.ts";
import { lockedBytes, serverProcess } from "../support/docker.ts";
import type { TestModel } from "../support/testModel.ts";
import { drawModel } from "../support/testModel.ts";
import { noVirtualMachineBecause } from "../support/virtualMachine.ts";
import type { Instance } from "./instance.ts";
import { startInstance } from "./instance.ts";

const reason = noVirtualMachineBecause();
const apiKey = "key-of-the-test-0123456789";
/** The machine is emulated: its server takes minutes to start. */
const patience = { timeout: 9 * 60_000, interval: 200 };

let folder: string;
let model: TestModel;
let instance: Instance;
let openai: OpenAI;

beforeEach(({ skip }) => {
  skip(reason !== undefined, reason);
});

beforeAll(async () => {
  if (reason !== undefined) return;
  folder = await mkdtemp(join(tools, "instance-"));
  model = await drawModel(folder);
  const apiKeys = JSON.stringify([apiKey, "a-second-key-0123"]);
  // The emulated CPU has AVX2, and no AVX-512. With a thread on each of its two cores, waiting for each other, an answer
  // took ten times as long as with one: 84 s instead of 7.
  const config = { modelUrl: model.path, cpuTarget: "x86-64-v3", threads: "1", apiKeys };
  instance = await startInstance(config);
  openai = client(`${instance.url}/v1`, apiKey);
  await healthy(200);
});

afterAll(async () => {
  if (reason !== undefined) return;
  await instance.stop();
  await rm(folder, { recursive: true });
});

test("cloud-init runs the user data to its end, byte for byte as the launch template has it", async () => {
  expect(`${await on("cat /var/lib/cloud/instance/user-data.txt")}\n`).toBe(instance.userData);
  expect(JSON.parse(await on("cloud-init status --format json"))).toMatchObject({ status: "done", errors: [] });
  expect(await on("cat /var/log/dnf")).toBe("install --assumeyes --quiet docker amazon-ecr-credential-helper");
  expect(await on("systemctl is-active docker bitnet-{prepare,balancer,server,metrics} | uniq")).toBe("active");
  expect(await on("systemctl --failed --no-legend")).toBe("");
});

test("it answers rightly through HAProxy to whoever has the key, and to nobody else", async () => {
  expect(await chat(openai, 4)).toMatchObject({ text: model.answer(4), finishReason: "stop" });
  await expect(chat(client(`${instance.url}/v1`, "another-key"), 4)).rejects.toThrow(/^401 /);
});

test("the whole model is locked in RAM, without a limit for it, in huge pages where the kernel can", async () => {
  const server = await serverProcess(inServer);
  expect(lockedBytes(server)).toBeGreaterThanOrEqual(server.modelBytes);
  expect(await inServer("ulimit -l")).toBe("unlimited");
  expect(await on("cat /sys/kernel/mm/transparent_hugepage/enabled")).toContain("[always]");
});

test("the server is no root, may lock memory and nothing else, and cannot write to its image", async () => {
  const { status } = await serverProcess(inServer);
  expect(status).toMatchObject({ Uid: "65532\t65532\t65532\t65532", NoNewPrivs: "1" });
  // IPC_LOCK is what it could have at most. Docker gives capabilities to root only; the raised limit is enough.
  expect(status).toMatchObject({ CapBnd: "0000000000004000", CapEff: "0000000000000000" });
  expect(await inServer("grep ' / ' /proc/self/mounts")).toMatch(/^overlay \/ overlay ro,/);
});

test("the group was told once, of this instance, and when a question was answered", async () => {
  await until(() => instance.answersAtLaunch.length > 0);
  expect(instance.answersAtLaunch).toEqual([200]);
  expect(told()).toEqual([
    expect.objectContaining({
      AutoScalingGroupName: instance.group,
      LifecycleHookName: instance.hook,
      InstanceId: instance.id,
      LifecycleActionResult: "CONTINUE",
    }),
  ]);
});

test("logs and metrics arrive in CloudWatch", async () => {
  await until(() => ["server", "balancer", "metrics"].every((stream) => eventsOf(stream).length > 0));
  const line = metricLine.parse(JSON.parse(eventsOf("metrics")[0] ?? ""));
  expect(line).toMatchObject({ AutoScalingGroupName: instance.group, InstanceId: instance.id });
  // In percent of the one slot, whatever of the questions before fell into this minute; the others are rounded to hundredths.
  expect(Math.abs(line.Load - 100 * (line.BusySlots + line.WaitingRequests))).toBeLessThanOrEqual(1);
});

test("the key is in memory only: no file, no container, no command line and no log has it", async () => {
  const found = await on("grep -rlF -D skip --exclude-dir=netns -f - /etc /home /root /run /tmp /var", apiKey);
  expect(found.split("\n")).toEqual(["/run/bitnet-server/keys"]);
  expect(await on("stat -f -c %T /run; stat -c '%a %U' /run/bitnet-server/keys")).toBe("tmpfs\n600 root");
  expect(await on("docker ps --all --quiet | xargs docker inspect")).not.toContain(apiKey);
  expect(await on("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")).not.toContain(apiKey);
  expect(await on("journalctl --no-pager")).not.toContain(apiKey);
  expect(JSON.stringify(instance.calls)).not.toContain(apiKey);
});

test("a server that is killed comes back, and answers", async () => {
  const before = await on("pidof llama-server");
  await on("kill -KILL $(pidof llama-server)");
  await healthy(503);
  await healthy(200);
  expect(await on("pidof llama-server")).not.toBe(before);
  expect(await chat(openai, 8)).toMatchObject({ text: model.answer(8), finishReason: "stop" });
});

test("a stop lets the running stream finish, while /health says that this instance is not to be used", async () => {
  const paused = pauseWhenBusy();
  const answer = stream(openai, 5);
  await paused;
  const stopped = on("systemctl stop bitnet-server");
  await healthy(503);
  expect(await on("curl -fsS 'http://127.0.0.1:8404/;csv' | grep ^replicas,llama-1,")).toContain(",DRAIN");
  await on("kill -CONT $(pidof llama-server)");
  expect(await answer).toMatchObject({ text: model.answer(5), finishReason: "stop" });
  await stopped;
  await on("systemctl start bitnet-server");
  await healthy(200);
});

test("a shutdown does, too; after the reboot it serves by itself, and does not tell the group again", async () => {
  const paused = pauseWhenBusy();
  const answer = stream(openai, 6);
  await paused;
  // Nobody can log in during a shutdown, and only what has no dependencies outlives its beginning.
  await on("systemd-run --quiet --property=DefaultDependencies=no sh -c 'sleep 30; kill -CONT $(pidof llama-server)'");
  const rebooted = instance.machine.reboot();
  await healthy(503);
  expect(await answer).toMatchObject({ text: model.answer(6), finishReason: "stop" });
  await rebooted;
  await healthy(200);
  expect(await chat(openai, 7)).toMatchObject({ text: model.answer(7), finishReason: "stop" });
  expect(await on("systemctl is-active docker bitnet-{prepare,balancer,server,metrics} | uniq")).toBe("active");
  expect(await on("systemctl --failed --no-legend")).toBe("");
  expect(await on("cat /sys/kernel/mm/transparent_hugepage/enabled")).toContain("[always]");
  expect(told()).toHaveLength(1);
});

const metricLine = z.looseObject({ Load: z.number(), BusySlots: z.number(), WaitingRequests: z.number() });

/** Runs a command that must succeed on the instance. */
async function on(command: string, input?: string): Promise<string> {
  const { exitCode, stdout, stderr } = await instance.machine.exec(`bash -c ${quote(command)}`, input);
  expect(exitCode, `${command}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

async function inServer(script: string): Promise<string> {
  return on("docker exec -i bitnet-server bash -e", script);
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitUntil(holds, patience);
}

/** Waits until the load balancer would get this status. */
async function healthy(status: number): Promise<void> {
  await until(async () => {
    const answer = await fetch(`${instance.url}/health`).catch(() => undefined);
    return answer?.status === status;
  });
}

/** Stops the server's process in the middle of its next answer: what is to happen meanwhile need not hurry. */
function pauseWhenBusy(): Promise<string> {
  return on(`until curl -fsS http://198.18.0.2:8080/metrics | grep -q 'requests_processing 1$'; do sleep 0.1; done
    kill -STOP $(pidof llama-server)`);
}

/** What the group was told. */
function told() {
  return inputsOf("AutoScaling.CompleteLifecycleAction");
}

function inputsOf(action: string) {
  return instance.calls.filter((call) => call.action === action).map(({ input }) => input);
}

/** The lines of one of the instance's log streams. */
function eventsOf(stream: string): string[] {
  return inputsOf("Logs_20140328.PutLogEvents")
    .filter(({ logStreamName }) => logStreamName === `${instance.id}/${stream}`)
    .flatMap(({ logEvents }) => (logEvents as { message: string }[]).map(({ message }) => message));
}
