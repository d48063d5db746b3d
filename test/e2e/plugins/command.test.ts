import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { local } from "@pulumi/command";
import { secret } from "@pulumi/pulumi";
import { RandomId, RandomPassword } from "@pulumi/random";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PluginStack } from "./pluginStack.ts";

let stack: PluginStack;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "command-test-"));
  stack = await PluginStack.create();
});
afterAll(async () => {
  await stack.dispose();
  await rm(folder, { recursive: true });
});

describe("command.local.Command", () => {
  const program = (args: local.CommandArgs) => () => {
    const command = new local.Command("command", {
      create: "echo created with $VALUE; echo a word >&2; cat",
      update: "echo updated after: $PULUMI_COMMAND_STDOUT",
      delete: `echo deleted after: $PULUMI_COMMAND_STDOUT >> ${folder}/deleted`,
      ...args,
    });
    return Promise.resolve({ stdout: command.stdout, stderr: command.stderr });
  };
  const args = { environment: { VALUE: "42" }, stdin: "input", triggers: [1] };

  test("a preview runs nothing", async () => {
    expect(await stack.preview(program({ create: `touch ${folder}/touched` }))).toEqual({ create: 2 });
    await expect(readFile(`${folder}/touched`)).rejects.toThrow("ENOENT");
  });

  test("create runs once, with its environment and input, and both of its outputs are kept", async () => {
    expect((await stack.up(program(args))).outputs).toEqual({ stdout: "created with 42\ninput", stderr: "a word" });
    expect((await stack.up(program(args))).changes).toEqual({ same: 2 });
  });

  test("what it prints is shown while it runs", async () => {
    const { log } = await stack.up(
      program({ ...args, update: "echo seen; sleep 0.1", interpreter: ["/bin/sh", "-ec"] }),
    );
    expect(log).toContain("seen");
  });

  test("a changed input runs update, which is told what was printed before", async () => {
    const { changes, outputs } = await stack.up(program({ ...args, interpreter: ["/bin/sh", "-c"] }));
    expect(changes).toEqual({ update: 1, same: 1 });
    expect(outputs.stdout).toBe("updated after: seen");
  });

  test("a changed trigger replaces it: create, then delete of the old one", async () => {
    const { changes, outputs } = await stack.up(program({ ...args, interpreter: ["/bin/sh", "-c"], triggers: [2] }));
    expect(changes).toEqual({ replace: 1, same: 1 });
    expect(outputs.stdout).toBe("created with 42\ninput");
    expect(await readFile(`${folder}/deleted`, "utf8")).toBe("deleted after: updated after: seen\n");
  });

  test("a failing command fails the update with its exit status and all that it printed", async () => {
    const failing = { update: "echo out; echo err >&2; exit 3", interpreter: ["/bin/sh", "-c"], triggers: [2] };
    const message = await stack.failingUp(program({ ...args, ...failing }));
    expect(message).toMatch(/exit status 3: running "echo out; echo err >&2; exit 3":/);
    expect(message).toMatch(/out\s+err/);
  });

  test("a secret that it is given is in no state file", async () => {
    await stack.up(
      program({ ...args, environment: { VALUE: secret("confidential") }, create: "true", update: "true" }),
    );
    expect(await stack.stateFile()).not.toContain("confidential");
  });

  test("destroy runs delete", async () => {
    const before = await readFile(`${folder}/deleted`, "utf8");
    await stack.destroy();
    expect(await readFile(`${folder}/deleted`, "utf8")).toBe(`${before}deleted after:\n`);
  });
});

describe("the random resources", () => {
  const program = (length: number) => () => {
    const password = new RandomPassword("password", { length, special: false });
    const id = new RandomId("id", { byteLength: 4, keepers: { content: "a" } });
    return Promise.resolve({ password: password.result, hex: id.hex, dec: id.dec });
  };

  test("are drawn once and stay as they are", async () => {
    const { outputs } = await stack.up(program(20));
    expect(outputs.password).toMatch(/^[A-Za-z0-9]{20}$/);
    expect(outputs.dec).toBe(String(parseInt(String(outputs.hex), 16)));
    const again = await stack.up(program(20));
    expect(again).toMatchObject({ changes: { same: 3 }, outputs });
  });

  test("a password is encrypted in the state", async () => {
    const { outputs } = await stack.up(program(20));
    expect(await stack.stateFile()).not.toContain(outputs.password);
  });

  test("a changed length draws anew, and only that one", async () => {
    const { changes, outputs } = await stack.up(program(24));
    expect(changes).toEqual({ replace: 1, same: 2 });
    expect(outputs.password).toHaveLength(24);
  });
});
