import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { OutputMap } from "@pulumi/pulumi/automation/index.js";
import { execa } from "execa";
import OpenAI, { APIError } from "openai";
import { Agent, fetch as undiciFetch } from "undici";
import type { BenchOptions } from "../bench/context.ts";
import { buildFolder } from "../components/image/buildFolder.ts";
import { generatedModel, offlineStack } from "../offline/index.ts";
import type { Assignment } from "./assignments.ts";
import { converse } from "./chat.ts";
import { confirm } from "./confirm.ts";
import { deploymentOf, idOf } from "./deployment.ts";
import { duration } from "./duration.ts";
import { describeChanges } from "./engineEvents.ts";
import { stateVariables } from "./failure.ts";
import { clearInterrupted, destroyWhole } from "./interrupted.ts";
import type { LogOptions } from "./logs.ts";
import { writeLogs } from "./logs.ts";
import { openStack } from "./openStack.ts";
import { OperationFailed, operate } from "./operation.ts";
import { checkout, shortName, stackFile } from "./paths.ts";
import type { Progress } from "./progress.ts";
import { canInstallDebianPackages, installDebianPackages } from "./requirements/debian.ts";
import { namedStack, openSession, prepareMachine, selectedStack } from "./session.ts";
import { readStack } from "./stackSettings.ts";
import { describeStatus, look } from "./status.ts";
import { show, showOutputs, summarize } from "./summary.ts";

/** What every command is given. */
export interface Invocation {
  /** The stack that the user named; else the one that is up, else the network decides. */
  readonly stack?: string;
  readonly verbose: boolean;
  /** Settings to save for the stack first. */
  readonly set: readonly Assignment[];
  readonly progress: Progress;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Packages that the end-to-end tests run: a browser, a virtual machine made from Debian packages, an emulator. */
export const testPackages = [
  "binutils",
  "chromium",
  "qemu-system-x86",
  "qemu-user",
  "mmdebstrap",
  "cloud-image-utils",
  "e2fsprogs",
  "openssh-client",
  "openssl",
  "docker-compose",
  "curl",
  "haproxy",
  "procps",
  "python3-venv",
  "shellcheck",
  "systemd",
  "git",
];

/** Builds, pushes, runs, asks. */
export async function up(invocation: Invocation): Promise<string> {
  const began = Date.now();
  const session = await openSession(invocation.stack, "build", invocation.progress, invocation.set);
  const settings = { ...invocation, command: "up", open: "select" as const };
  const { result, run } = await operate(session, settings, async (stack, options) => {
    await clearInterrupted(stack, options.signal, invocation.progress);
    options.signal.throwIfAborted();
    return stack.up(options);
  });
  const took = duration(Date.now() - began);
  const isTestModel = readStack(session.stack).get("modelUrl") === generatedModel.modelUrl;
  const summary = summarize(session.stack, result.outputs, describeChanges(run.changes), took, isTestModel);
  // On a closed network plain `pulumi` has no plugins.
  const variables = session.stack === offlineStack ? "" : stateVariables();
  return variables === "" ? summary : `${summary}\n\nfor plain \`pulumi\` to see this stack: export ${variables}`;
}

/** Says what `up` would do. A stack without a settings file is a typing error, not one to create. */
export async function preview(invocation: Invocation, json: boolean): Promise<string> {
  const session = await openSession(invocation.stack, "program", invocation.progress, invocation.set);
  const open = existsSync(stackFile(session.stack)) ? ("create" as const) : ("read" as const);
  const settings = { ...invocation, command: "preview", open };
  const { run } = await operate(session, settings, (stack, options) => stack.preview(options));
  const { planned, changes } = run;
  if (json)
    return JSON.stringify({ stack: session.stack, changes: Object.fromEntries(changes), steps: planned }, undefined, 2);
  const lines = planned.map(({ op, resource }) => `  ${op.padEnd(18)} ${resource}`);
  return [...lines, `stack ${session.stack}: ${describeChanges(changes, "future")}`].join("\n");
}

/** Takes over into the state what was changed behind Pulumi's back. */
export async function refresh(invocation: Invocation): Promise<string> {
  const session = await openSession(invocation.stack, "engine", invocation.progress);
  const settings = { ...invocation, command: "refresh", open: "read" as const };
  const { run } = await operate(session, settings, (stack, options) => stack.refresh(options));
  return `stack ${session.stack} refreshed: ${describeChanges(run.changes)}`;
}

/**
 * Removes all that a stack made, and looks whether it is gone.
 * @param yes whether the user need not be asked
 */
export async function destroy(invocation: Invocation, yes: boolean): Promise<string> {
  const session = await openSession(invocation.stack, "engine", invocation.progress);
  const { stack } = session;
  if (!yes) {
    const command = `npm run destroy -- --stack ${session.qualifiedName} --yes`;
    await confirm(`Remove everything that stack ${stack} created?`, command, invocation.signal);
  }
  const began = Date.now();
  const settings = { ...invocation, command: "destroy", open: "read" as const };
  const { run } = await operate(session, settings, (opened, options) =>
    destroyWhole(opened, options, invocation.progress),
  );
  removeBuildFolder(stack);
  if (run.changes.size === 0) return `stack ${stack} is destroyed: there was nothing to remove`;
  const nothing =
    "Docker has none of its containers, networks and volumes left, and only images that other containers use";
  return `stack ${stack} is destroyed: ${describeChanges(run.changes)}, ${duration(Date.now() - began)}; ${nothing}`;
}

function removeBuildFolder(stack: string): void {
  rmSync(join(checkout, buildFolder(shortName(stack))), { recursive: true, force: true });
}

/** How to measure, and the folder that the results go to. */
export interface BenchSettings extends BenchOptions {
  readonly results: string;
}

/** How the outputs are to be printed. */
export interface OutputsOptions {
  /** One output alone, without its name. */
  readonly name?: string;
  readonly json: boolean;
  readonly showSecrets: boolean;
}

/** A stack's outputs. */
export async function outputs(invocation: Invocation, { name, json, showSecrets }: OutputsOptions): Promise<string> {
  const { result } = await readOutputs(invocation, "outputs");
  if (name !== undefined && result[name] === undefined) {
    throw new OperationFailed(
      `output: "${name}"\n  wrong: there is none of that name\n  right: ${Object.keys(result).join(", ")}`,
    );
  }
  if (name !== undefined) return show(result, name, showSecrets);
  return json ? JSON.stringify(plainValues(result, showSecrets), undefined, 2) : showOutputs(result, showSecrets);
}

/**
 * A stack's outputs; and its id for what goes on to ask Docker.
 * @throws OperationFailed if it has no outputs, and so is not up
 */
async function readOutputs(invocation: Invocation, command: string, need: "state" | "engine" = "state") {
  const session = await openSession(invocation.stack, need, invocation.progress);
  const settings = { ...invocation, command, open: "read" as const };
  const { result, id } = (
    await operate(session, settings, async (stack) => ({
      result: await stack.outputs(),
      id: need === "engine" ? idOf(await deploymentOf(stack)) : undefined,
    }))
  ).result;
  if (Object.keys(result).length === 0)
    throw new OperationFailed(`stack ${session.stack} is not up: npm run up -- --stack ${session.qualifiedName}`);
  return { session, result, id };
}

/** A conversation with a stack's model. */
export async function chat(invocation: Invocation, system: string | undefined): Promise<void> {
  const { result, session } = await readOutputs(invocation, "chat");
  const conversation = {
    openai: openAi(show(result, "url"), show(result, "apiKey", true), result.statsUrl !== undefined),
    model: show(result, "model"),
    system,
  };
  invocation.progress.note(`${conversation.model} of stack ${session.stack}; Ctrl-D ends the conversation`);
  const streams = { input: process.stdin, output: process.stdout, errors: process.stderr };
  try {
    await converse(conversation, streams, invocation.signal);
  } catch (error) {
    if (error instanceof APIError) throw new OperationFailed(error.message, { cause: error });
    throw error;
  }
}

/**
 * Checks a stack on AWS from outside, a line for each check.
 * @throws OperationFailed with all lines, if any check has failed
 */
export async function verifyAws(invocation: Invocation): Promise<string> {
  const { result, session } = await readOutputs(invocation, "verify:aws");
  const [region, service] = [show(result, "region"), show(result, "service")];
  if (region === "" || service === "") {
    const right = `a stack whose target is aws, after an \`up\` of this version: npm run verify:aws -- --stack NAME`;
    throw new OperationFailed(
      `stack: "${session.stack}"\n  wrong: its outputs name no service of ECS\n  right: ${right}`,
    );
  }
  const { describeChecks, verifyAws } = await import("./verifyAws.ts");
  const openai = openAi(show(result, "url"), show(result, "apiKey", true), false);
  const [healthUrl, model] = [show(result, "healthUrl"), show(result, "model")];
  const checks = await verifyAws({ region, service, healthUrl, model, openai });
  const lines = describeChecks(checks);
  const failed = checks.filter(({ ok }) => !ok).length;
  if (failed > 0)
    throw new OperationFailed(`${lines}\n\nstack ${session.stack}: ${failed} of ${checks.length} checks failed`);
  return `${lines}\n\nstack ${session.stack}: all ${checks.length} checks passed`;
}

/** @param isLocal on this machine nobody is in between, and a certificate may name anything but its address */
function openAi(baseURL: string, apiKey: string, isLocal: boolean): OpenAI {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: !isLocal } });
  // The two have to be of one version of undici's.
  const options = { fetch: undiciFetch as unknown as typeof fetch, fetchOptions: { dispatcher } };
  return new OpenAI({ baseURL, apiKey: apiKey || "none", ...options });
}

/** What a stack is doing. */
export async function status(invocation: Invocation, json: boolean): Promise<string> {
  const { result, session, id } = await readOutputs(invocation, "status", "engine");
  // On AWS there is none.
  const status = await look(id, show(result, "statsUrl") || undefined);
  if (json) return JSON.stringify(status, undefined, 2);
  const facts = ["url", "model", "image"].map((name) => `${name.padEnd(9)}  ${show(result, name)}`);
  return [`stack ${session.stack} is up`, ...facts, "", describeStatus(status)].join("\n");
}

/** What a stack's containers print. */
export async function logs(invocation: Invocation, options: LogOptions): Promise<void> {
  const { session, id } = await readOutputs(invocation, "logs", "engine");
  const found = id === undefined ? 0 : await writeLogs(id, options, process.stdout, invocation.signal);
  if (found === 0) throw new OperationFailed(`stack ${session.stack} has no containers on this machine`);
}

/**
 * Runs all tests; what they need is made ready first, as for `up`.
 * @param args for vitest
 * @returns vitest's exit code
 */
export async function test(invocation: Invocation, args: readonly string[]): Promise<number> {
  await prepareMachine("engine", invocation.progress);
  if (canInstallDebianPackages() && !(await areInstalled(testPackages))) {
    await installDebianPackages(testPackages, "the end-to-end tests", invocation.progress);
  }
  invocation.progress.stop();
  const vitest = join(checkout, "node_modules", "vitest", "vitest.mjs");
  const { exitCode } = await execa(process.execPath, [vitest, "run", ...args], {
    cwd: checkout,
    stdio: "inherit",
    reject: false,
    cancelSignal: invocation.signal,
  });
  return exitCode ?? 1;
}

/**
 * Measures; what that needs is made ready first, as for `up`.
 * @param parts by name; none: all of them
 * @throws UserError if there is no part of a name
 */
export async function bench(invocation: Invocation, parts: readonly string[], options: BenchSettings): Promise<string> {
  const { runBench, toParts } = await import("../bench/run.ts");
  const names = toParts(parts);
  await prepareMachine("engine", invocation.progress);
  const { results, ...rest } = options;
  const table = await runBench(names, rest, results, invocation).catch((error: unknown) => {
    if (!invocation.signal.aborted) throw error;
    throw new OperationFailed("bench was cancelled; parts that were through are kept", { cause: error });
  });
  invocation.progress.stop();
  return `${table}\n\n${join(results, "results.json")} has all of it; \`npm run docs\` shows it in docs/performance.md`;
}

/**
 * Pulumi's own CLI, with the project's tools and state: `npm run pulumi -- config set --secret apiKeys --stack dev`.
 * @returns its exit code
 */
export async function pulumi({ progress, signal }: Invocation, args: readonly string[]): Promise<number> {
  const pulumi = await prepareMachine("state", progress);
  const named = namedStack(stackOf(args));
  const stack = named?.stack ?? (await selectedStack(pulumi))?.name;
  // These name their stack themselves.
  const namesItself = args[0] === "stack" && ["init", "ls", "rm", "select"].includes(args[1] ?? "");
  if (stack !== undefined && !namesItself)
    progress.note(`stack ${shortName(stack)}: ${named?.why ?? "last worked on"}`);
  // Settings come before the first `up`, so that their stack need not exist yet.
  const sets = args[0] === "config" && /^set(-all)?$/.test(args[1] ?? "");
  if (sets && named !== undefined) await openStack({ qualifiedName: named.stack, pulumi }, "create");
  progress.stop();
  const running = execa(pulumi.command, args, { cwd: checkout, stdio: "inherit", reject: false });
  signal.addEventListener("abort", () => running.kill("SIGINT"));
  const { exitCode } = await running;
  // The next `up` lays out the build contexts in a folder of the new name.
  const isRenamed = exitCode === 0 && args[0] === "stack" && args[1] === "rename";
  if (isRenamed && stack !== undefined) removeBuildFolder(stack);
  return exitCode ?? 130;
}

/** The stack that arguments of Pulumi's CLI name. */
export function stackOf(args: readonly string[]): string | undefined {
  const at = args.findIndex((argument) => /^(--stack|-s)(=|$)/.test(argument));
  const [, value] = /=(.*)/.exec(args[at] ?? "") ?? [];
  return at < 0 ? undefined : (value ?? args[at + 1]);
}

async function areInstalled(packages: readonly string[]): Promise<boolean> {
  const { stdout } = await execa("dpkg-query", ["-W", "-f", "${db:Status-Status}\n", ...packages], { reject: false });
  return stdout.split("\n").filter((status) => status === "installed").length === packages.length;
}

function plainValues(result: OutputMap, showSecrets: boolean): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(result).map(([key, { value, secret }]) => [key, secret && !showSecrets ? "[secret]" : value]),
  );
}
