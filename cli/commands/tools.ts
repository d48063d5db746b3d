import { join } from "node:path";
import { execa } from "execa";
import type { BenchOptions } from "../../bench/context.ts";
import { openStack } from "../openStack.ts";
import { OperationFailed } from "../operation.ts";
import { checkout, shortName } from "../paths.ts";
import { canInstallDebianPackages, installDebianPackages } from "../requirements/debian.ts";
import { namedStack, prepareMachine, selectedStack } from "../session.ts";
import { removeBuildFolder } from "./buildFolder.ts";
import type { Invocation } from "./invocation.ts";

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

/**
 * Runs all tests, after preparing what they need, as `up` does.
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

async function areInstalled(packages: readonly string[]): Promise<boolean> {
  const { stdout } = await execa("dpkg-query", ["-W", "-f", "${db:Status-Status}\n", ...packages], { reject: false });
  return stdout.split("\n").filter((status) => status === "installed").length === packages.length;
}

/** How to measure, and the folder for the results. */
export interface BenchSettings extends BenchOptions {
  readonly results: string;
}

/**
 * Runs benchmarks, after preparing what they need, as `up` does.
 * @param parts their names; none means all
 * @throws UserError if a part does not exist
 */
export async function bench(invocation: Invocation, parts: readonly string[], options: BenchSettings): Promise<string> {
  const { runBench, toParts } = await import("../../bench/run.ts");
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

/** The stack that is named in arguments of Pulumi's CLI or of ours. */
export function stackOf(args: readonly string[]): string | undefined {
  const at = args.findIndex((argument) => /^(--stack|-s)(=|$)/.test(argument));
  const [, value] = /=(.*)/.exec(args[at] ?? "") ?? [];
  return at < 0 ? undefined : (value ?? args[at + 1]);
}
