import { once } from "node:events";
import { chmod, chown, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { belongingsOf } from "./support/docker.ts";
import { noFullEngineBecause, startFullEngine } from "./support/fullEngine.ts";
import { problemOf } from "./support/problem.ts";
import { drawModel } from "./support/testModel.ts";
import { sources, TestStack } from "./support/testStack.ts";

const isRoot = process.getuid?.() === 0;

describe("npm run up says what to do", () => {
  let folder: string;
  let stack: TestStack;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-docker-"));
    stack = await TestStack.create({ ...(await drawModel(folder)).settings, memlock: "inherit" });
  });

  afterEach(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test("if Docker is not running", async () => {
    const { exitCode, output } = await stack.run("up", { DOCKER_HOST: `unix://${folder}/none.sock` });
    expect(exitCode).not.toBe(0);
    expect(problemOf(output, "Docker Engine")).toMatchObject({
      wrong: expect.stringContaining("none.sock") as string,
      right: expect.stringMatching(/start it/) as string,
    });
  });

  test("if the engine of the chosen docker context is not running", async () => {
    const environment = { DOCKER_CONFIG: join(folder, "client"), DOCKER_HOST: undefined, DOCKER_CONTEXT: "mine" };
    const host = `host=unix://${folder}/none.sock`;
    await execa("docker", ["context", "create", "mine", "--docker", host], {
      env: { ...environment, DOCKER_CONTEXT: undefined },
    });
    const { exitCode, output } = await stack.run("up", environment);
    expect(exitCode).not.toBe(0);
    expect(problemOf(output, "Docker Engine")).toMatchObject({
      wrong: expect.stringMatching(/docker context mine .*none\.sock/) as string,
      right: expect.stringMatching(/start it, .*docker context use/) as string,
    });
    expect(output).not.toContain("DOCKER_HOST");
  });

  test("if this user may not talk to Docker", async () => {
    const path = join(folder, "docker.sock");
    const server = createServer().listen(path);
    await once(server, "listening");
    // Root without the capability to override permissions is as any other user.
    if (isRoot) await chown(path, 65534, 65534);
    await chmod(path, isRoot ? 0o600 : 0);
    const wrapper = isRoot ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];
    const { exitCode, output } = await stack.runAs(wrapper, "up", { DOCKER_HOST: `unix://${path}` });
    server.close();
    expect(exitCode).not.toBe(0);
    expect(problemOf(output, "Docker Engine")).toMatchObject({
      wrong: expect.stringMatching(/may not|permission/) as string,
      right: expect.stringMatching(/usermod -aG docker/) as string,
    });
  });

  test("if the disk is full while it builds", async ({ skip }) => {
    const reason = noFullEngineBecause();
    skip(reason !== undefined, reason);
    await using engine = await startFullEngine((await sources()).baseImage);
    const { exitCode, output } = await stack.run("up", { DOCKER_HOST: engine.host });
    expect(exitCode).not.toBe(0);
    expect(output).toMatch(/no space left on device/);
    expect(output).toMatch(/right: .*docker system (df|prune)/);
    const destroyed = await stack.run("destroy", { DOCKER_HOST: engine.host });
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(await belongingsOf(stack, engine.docker)).toEqual([]);
  });
});
