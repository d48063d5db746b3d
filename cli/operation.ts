import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import type { EngineEvent, PulumiFn, Stack } from "@pulumi/pulumi/automation/index.js";
import { explainUnhealthy } from "./unhealthyContainers.ts";
import { deploymentOf, idOf } from "./deployment.ts";
import { EngineRun, toLog } from "./engineEvents.ts";
import { describeFailure, takeLockAway } from "./failure.ts";
import { removeLocks, staleLocks } from "./lock.ts";
import type { Opening } from "./openStack.ts";
import { openStack } from "./openStack.ts";
import { checkout, state } from "./paths.ts";
import type { Output, Progress } from "./progress.ts";
import { toFile } from "./progress.ts";
import type { Session } from "./session.ts";

/** Options of every Pulumi operation. */
export interface OperationOptions {
  readonly onEvent: (event: EngineEvent) => void;
  readonly signal: AbortSignal;
}

/** A failed operation on a stack. The message is for the user, and complete. */
export class OperationFailed extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "OperationFailed";
  }
}

/** Commands that take no lock. */
const readingOnly: ReadonlySet<string> = new Set(["outputs", "status", "chat", "logs"]);

/** Which operation, and how to report it. */
interface OperationSettings {
  readonly command: string;
  readonly open: Opening;
  readonly verbose: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Runs an operation on a stack: shows progress, writes the full output to a log file, and explains failures.
 * @param work the operation; it hands the options to Pulumi
 * @throws OperationFailed
 */
export async function operate<T>(
  session: Session,
  settings: OperationSettings,
  work: (stack: Stack, options: OperationOptions) => Promise<T>,
): Promise<{ result: T; run: EngineRun }> {
  const { command, progress, signal } = settings;
  const run = new EngineRun(progress, command === "preview");
  const thrown: unknown[] = [];
  const collect = (error: unknown) => thrown.push(error);
  let stack: Stack | undefined;
  // Errors thrown in an `apply` arrive here. Pulumi listens too, but only keeps a line of text.
  process.on("unhandledRejection", collect);
  try {
    if (!readingOnly.has(command)) clearDeadLocks(session.stack, progress);
    stack = await openStack(session, settings.open, programThatReports(collect));
    // Pulumi checks a signal only while it works, so an earlier one is checked here.
    signal.throwIfAborted();
    const result = await work(stack, { signal, onEvent: listener(session, settings, run) });
    return { result, run };
  } catch (error) {
    if (signal.aborted) {
      throw new OperationFailed(`${command} was cancelled. Finished steps are kept; run the same command to continue.`);
    }
    const failure = describeFailure({ stack: session.stack, error, thrown, failures: run.failures });
    const trouble = run.failures.length === 0 ? [] : await explainContainers(stack, failure);
    throw new OperationFailed([failure, ...trouble].join("\n\n"), { cause: error });
  } finally {
    process.off("unhandledRejection", collect);
    progress.stop();
  }
}

/** The program. Reports what it throws before Pulumi reduces it to a line of text. */
function programThatReports(report: (error: unknown) => void): PulumiFn {
  return async () => {
    try {
      return { ...(await import("../index.ts")).default };
    } catch (error) {
      report(error);
      throw error;
    }
  };
}

function listener({ stack }: Session, { command, verbose, progress }: OperationSettings, run: EngineRun) {
  const output = verbose ? lines(progress) : log(`${command}-${stack}`, progress);
  return (event: EngineEvent) => {
    output(toLog(event));
    run.take(event);
  };
}

/** Empty if the state cannot be read, because then the failure is about that. */
async function explainContainers(stack: Stack | undefined, said: string): Promise<string[]> {
  const state = stack && (await deploymentOf(stack).catch(() => undefined));
  return state === undefined ? [] : explainUnhealthy(idOf(state), said);
}

/**
 * Removes the locks of killed commands, which would block every later one.
 * @throws OperationFailed if a lock does not say whose it is
 */
function clearDeadLocks(stack: string, progress: Progress): void {
  const { dead, unreadable } = staleLocks(stack);
  const [file] = unreadable;
  if (file !== undefined) {
    const wrong = "  wrong: it does not say whose it is; a full disk or a power cut may have left it";
    throw new OperationFailed(
      [`lock of stack ${stack}: ${relative(checkout, file)}`, wrong, ...takeLockAway(stack)].join("\n"),
    );
  }
  for (const { pid } of dead) progress.note(`removed the lock of a command that was killed (process ${pid})`);
  removeLocks(dead);
}

function lines(progress: Progress): Output {
  return (text) => {
    if (text !== "") progress.note(text.trimEnd());
  };
}

/** Creates and announces the file when there is something to write. */
function log(name: string, progress: Progress): Output {
  const folder = join(state, "log");
  const path = join(folder, `${name}-${new Date().toISOString().replaceAll(/[:.]/g, "-")}.log`);
  let output: Output | undefined;
  return (text) => {
    if (text === "") return;
    if (output === undefined) {
      mkdirSync(folder, { recursive: true });
      output = toFile(path);
      progress.note(`full output: ${relative(checkout, path)}   (on the screen: --verbose)`);
    }
    output(text);
  };
}
