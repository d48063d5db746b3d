import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, client } from "./support/chat.ts";
import { belongingsOf, docker, remaining } from "./support/docker.ts";
import { freePort } from "./support/net.ts";
import { problemOf } from "./support/problem.ts";
import { copyCheckout } from "./support/secondCheckout.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import { TestStack } from "./support/testStack.ts";

describe("two checkouts on one engine, each with a stack of the same name", () => {
  // No image's tag may begin like this.
  const name = `.test-${randomBytes(4).toString("hex")}`;
  let folder: string;
  let model: TestModel;
  let ports: Awaited<ReturnType<typeof freePorts>>;
  let first: TestStack;
  let second: TestStack;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-ownership-"));
    model = await drawModel(folder);
    ports = await freePorts();
    first = await TestStack.create({ ...model.settings, ...ports }, { name });
    const checkout = join(folder, "checkout");
    await copyCheckout(checkout);
    second = await TestStack.create({ ...model.settings, ...ports }, { name, checkout });
    await first.up();
  });

  afterAll(async () => {
    await first.dispose();
    await second.dispose();
    await rm(folder, { recursive: true });
  });

  test("up in the second one says that the first one's ports are in use, and leaves them alone", async () => {
    const belongings = await belongingsOf(first);
    const { exitCode, output } = await second.run("up");
    expect(exitCode).not.toBe(0);
    for (const port of ["port", "statsPort", "registryPort"]) {
      expect(problemOf(output, port).wrong).toMatch(/another program listens on this port/);
    }
    expect(await belongingsOf(first)).toEqual(belongings);
    expect(await belongingsOf(second)).toEqual([]);
  });

  test("with ports of its own it works beside the first, whose destroy leaves all of it alone", async () => {
    second.configure(await freePorts());
    await git("init", "--quiet");
    await git("add", "--all");
    await git("add", "--force", `Pulumi.${name}.yaml`);
    await second.up();
    const belongings = await belongingsOf(second);
    expect(new Set(belongings.map((thing) => thing.split(" ")[0])).size).toBe(4);

    const { exitCode, output } = await first.run("destroy");
    expect(exitCode, output).toBe(0);
    expect(await belongingsOf(first)).toEqual([]);
    expect(await remaining(belongings)).toEqual(belongings);
    expect((await chat(client((await second.outputs()).url), 5)).text).toBe(model.answer(5));
  });

  test("up has left every file as it was, and made none that git shows, but for Pulumi's encryption salt", async () => {
    expect(await git("ls-files", "--others", "--exclude-standard")).toBe("");
    const marks = ["--output-indicator-new=>", "--output-indicator-old=<"];
    const changed = (await git("diff", "--unified=0", ...marks)).split("\n").filter((line) => /^[<>]/.test(line));
    expect(changed.filter((line) => !line.startsWith(">encryptionsalt: "))).toEqual([]);
  });

  test("renamed, the stack is the same one: up replaces nothing", async () => {
    const belongings = await belongingsOf(second);
    const contexts = join(second.checkout, ".build", name);
    expect(existsSync(contexts)).toBe(true);
    await second.rename(`renamed-${name.slice(1)}`);
    expect(existsSync(contexts)).toBe(false);
    const { output } = await second.up();
    expect(output).not.toMatch(/created|deleted|replaced/);
    expect(await belongingsOf(second)).toEqual(belongings);
  });

  test("destroy spares a container that a user started from the image, and names it", async () => {
    const image = (await second.outputs()).image;
    const run = ["run", "--detach", "--entrypoint=sleep", image, "600"];
    const { stdout: users } = await execa("docker", run);
    const { script, environment } = second.deleteCommandOf("images");
    const { exitCode, output } = await second.run("destroy");
    expect(exitCode, output).toBe(0);
    const { Name, State, Image } = await docker.getContainer(users).inspect();
    expect(State.Running).toBe(true);
    expect(output).toContain(`that other containers use: ${Name.slice(1)}`);
    expect(await belongingsOf(second)).toEqual([`image ${Image}`]);

    await docker.getContainer(users).remove({ force: true });
    // Years later: another folder, a newer checkout, no Node. The command is all that is left of this version.
    const bin = join(folder, "bin");
    await mkdir(bin);
    const { stdout: client } = await execa("bash", ["-c", "command -v docker"]);
    await symlink(client, join(bin, "docker"));
    await execa("/bin/sh", ["-ec", script], { cwd: bin, extendEnv: false, env: { ...environment, PATH: bin } });
    expect(await belongingsOf(second)).toEqual([]);
  });

  /** In the second checkout. */
  async function git(...args: string[]): Promise<string> {
    return (await execa("git", args, { cwd: second.checkout })).stdout;
  }
});

async function freePorts() {
  return { port: await freePort(), statsPort: await freePort(), registryPort: await freePort() };
}
