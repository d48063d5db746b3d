import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Image } from "@pulumi/docker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { processesWith } from "../support/processes.ts";
import { sources } from "../support/testStack.ts";
import { PluginStack } from "./pluginStack.ts";

let stack: PluginStack;
let folder: string;

beforeAll(async () => {
  stack = await PluginStack.create();
  folder = await mkdtemp(join(tmpdir(), "killed-test-"));
  const { baseImage } = await sources();
  await writeFile(join(folder, "Dockerfile"), `FROM ${baseImage}\nARG WORD\nRUN echo "$WORD" && sleep 300\n`);
});

afterAll(async () => {
  await stack.unlock();
  await stack.dispose();
  await rm(folder, { recursive: true });
});

test("a docker build ends with the engine that wanted it, also if that is killed", async () => {
  const failed = stack.failingUp(() => {
    const build = { context: folder, args: { WORD: stack.name }, platform: "linux/amd64" };
    new Image("image", { imageName: `127.0.0.1:1/${stack.name}:x`, skipPush: true, build });
    return Promise.resolve();
  });
  const builds = () => processesWith(`--tag=127.0.0.1:1/${stack.name}:x`);
  await expect.poll(builds, { timeout: 60_000 }).not.toEqual([]);
  for (const pid of processesWith(`pulumi up .*--stack ${stack.name}`)) process.kill(pid, "SIGKILL");
  await failed;
  // Its plugins look every 10 seconds whether it is still there.
  await expect.poll(builds, { timeout: 40_000 }).toEqual([]);
});
