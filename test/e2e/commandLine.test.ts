import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execaSync } from "execa";
import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generatedModel } from "../../offline/model.ts";
import { descendants, processesWith } from "./support/processes.ts";
import { ctrlC } from "./support/terminal.ts";
import { TestStack } from "./support/testStack.ts";

let stack: TestStack;
let full: string;

beforeAll(async () => {
  stack = await TestStack.create(generatedModel);
  full = `organization/bitnet-server/${stack.name}`;
  await stack.pulumi("config", "set", "replicas", "2");
});

afterAll(async () => {
  await stack.dispose();
});

test("every command says first which stack it works on, and why; outputs alone go to stdout", async () => {
  for (const words of [["outputs"], ["refresh"], ["pulumi", "config"], ["pulumi", "stack", "output"]]) {
    const { output, stdout } = await stack.command(...words, "--stack", stack.name);
    expect(output.split("\n")[0]).toBe(`stack ${stack.name}: named by --stack`);
    expect(stdout).not.toContain("named by");
  }
});

test("reading a stack, its settings and what is really there selects nothing", async () => {
  await stack.pulumi("config", "set", "replicas", "1");
  await stack.run("refresh");
  await stack.run("destroy");
  await stack.command("outputs", "--stack", stack.name);
  const { stdout } = await stack.command("pulumi", "stack", "ls", "--json");
  expect(JSON.parse(stdout)).toMatchObject([{ name: stack.name, current: false }]);
});

test("a lock that does not tell whose it is stops a command, which says how to take it away", async () => {
  const locks = join(stack.stateFolder, ".pulumi/locks/organization/bitnet-server", stack.name);
  mkdirSync(locks, { recursive: true });
  writeFileSync(join(locks, "half.json"), '{"pid":');
  const { exitCode, output } = await stack.run("destroy");
  expect(exitCode).toBe(1);
  expect(output).toContain("half.json");
  expect(output).toContain(`npm run pulumi -- cancel --yes --stack ${stack.name}`);
  await stack.pulumi("cancel", "--yes");
  expect((await stack.run("destroy")).exitCode).toBe(0);
});

test("doctor finds nothing missing where up works, and names a port that is taken, as --json too", async () => {
  const { exitCode, output } = await stack.command("doctor", "--stack", stack.name);
  expect(exitCode, output).toBe(0);
  expect(output).toContain("Nothing is missing");
  const { stdout: port } = await stack.command("pulumi", "config", "get", "port", "--stack", stack.name);
  await using server = createServer();
  await once(server.listen(Number(port), "127.0.0.1"), "listening");
  const taken = await stack.command("doctor", "--json", "--stack", stack.name);
  expect(taken.exitCode).toBe(1);
  const findings = JSON.parse(taken.stdout) as { what: string; state: string; right?: string }[];
  const missing = findings.filter(({ state }) => state === "missing");
  expect(missing).toMatchObject([{ what: `port: ${port.trim()}`, right: "a port that is free" }]);
});

test("--set saves a setting for the stack before the preview, which is data alone with --json", async () => {
  const wrong = await stack.command("preview", "--set", "replicas=two", "--stack", stack.name);
  expect(wrong.exitCode).toBe(1);
  expect(wrong.output).toContain("not a whole number");
  const { stdout, exitCode, output } = await stack.command("preview", "--json", "--set", "replicas=1", "--stack", full);
  expect(exitCode, output).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ stack: stack.name, changes: { create: expect.any(Number) as number } });
  const { stdout: replicas } = await stack.command("pulumi", "config", "get", "replicas", "--stack", stack.name);
  expect(replicas.trim()).toBe("1");
});

test("a stack's full name means the same stack and the same file", async () => {
  const { exitCode, output } = await stack.command("pulumi", "config", "get", "replicas", "--stack", full);
  expect(exitCode, output).toBe(0);
  const destroyed = await stack.command("destroy", "--yes", "--stack", full);
  expect(destroyed.exitCode, destroyed.output).toBe(0);
  expect(destroyed.output).toContain(`stack ${stack.name} is destroyed`);
});

test("destroy in a script without --yes names the stack, does nothing and fails", async () => {
  const { exitCode, output } = await stack.command("destroy", "--stack", stack.name);
  expect(exitCode).toBe(1);
  expect(output).toContain("cannot ask for confirmation without a terminal; nothing was removed");
  expect(output).toContain(`npm run destroy -- --stack ${stack.name} --yes`);
});

test.each([
  ["n\r", 1, "nothing was removed"],
  ["\r", 1, "nothing was removed"],
  ["\u0004", 1, "nothing was removed"],
  ["\u0003", 130, "nothing was removed"],
  ["y\r", 0, "is destroyed"],
])("destroy on a terminal names the stack and asks; %j ends with %i: %s", async (answer, exitCode, told) => {
  await using terminal = stack.inTerminal(`destroy --stack ${stack.name}`);
  await terminal.shows(`Remove everything that stack ${stack.name} created? (y/N)`);
  terminal.type(answer);
  await terminal.shows(told);
  expect(await terminal.ended).toBe(exitCode);
});

test("Ctrl-C before Pulumi has begun ends the command there: nothing is removed", async () => {
  await using terminal = stack.inTerminal(`destroy --yes --stack ${stack.name}`);
  await terminal.shows("named by --stack");
  terminal.type(ctrlC);
  expect(await terminal.ended).toBe(130);
  expect(terminal.screen()).not.toContain("is destroyed");
});

const askForSecret = "pulumi config set --secret apiKeys --stack";
const prompt = /value: /;

test.each(["Ctrl-C", "SIGINT"])(
  "%s where a secret is asked for ends Pulumi with it: the next line is the shell's",
  async (how) => {
    await using terminal = stack.inTerminal(`${askForSecret} ${stack.name}`);
    await terminal.shows(prompt);
    const started = descendants(terminal.pid).slice(1);
    const [command = 0] = started;
    if (how === "Ctrl-C") terminal.type(ctrlC);
    else process.kill(command, "SIGINT");
    await expect.poll(() => started.filter(isRunning).map(commandLine), { timeout: 30_000 }).toEqual([]);
    expect(await terminal.ended).not.toBe(0);
  },
);

test.each([
  ["bootstrap.mjs", "cli/bootstrap.mjs pulumi config set --secret"],
  ["main.ts", "cli/main.ts pulumi config set --secret"],
])("a command whose %s is killed leaves no process that reads the terminal", async (_, victim) => {
  await using terminal = stack.inTerminal(`${askForSecret} ${stack.name}`);
  await terminal.shows(prompt);
  const started = descendants(terminal.pid).slice(1);
  expect(started.length).toBeGreaterThan(2);
  for (const pid of processesWith(victim).filter((found) => started.includes(found))) process.kill(pid, "SIGKILL");
  await expect.poll(() => started.filter(isRunning).map(commandLine), { timeout: 30_000 }).toEqual([]);
});

test("a command whose npm alone is killed leaves the terminal to the shell", async () => {
  const run = `npm run pulumi -- ${askForSecret.replace("pulumi ", "")} ${stack.name}`;
  // The shell stays: if it ended with npm, the kernel would hang up on everybody.
  await using terminal = stack.shellInTerminal(`bash -c '${run}; echo next line; exec cat'`);
  await terminal.shows(prompt);
  const started = descendants(terminal.pid);
  const [npm, ...more] = processesWith("^npm run pulumi config set").filter((pid) => started.includes(pid));
  expect([npm, more]).toEqual([expect.any(Number), []]);
  const ofNpm = descendants(npm ?? 0);
  expect(ofNpm.length).toBeGreaterThan(2);
  process.kill(npm ?? 0, "SIGKILL");
  await terminal.shows("next line");
  await expect.poll(() => ofNpm.filter(isRunning).map(commandLine), { timeout: 30_000 }).toEqual([]);
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** With its state, so that a failure says what is left. */
function commandLine(pid: number): string {
  return execaSync("ps", ["-o", "pid=,ppid=,stat=,args=", "--pid", String(pid)], { reject: false }).stdout;
}
