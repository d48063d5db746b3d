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

/** What Pulumi is given with every operation. */
export interface OperationOptions {
  readonly onEvent: (event: EngineEvent) => void;
  readonly signal: AbortSignal;
}

/** An operation on a stack that failed; its message is for the user and is all that there is to say. */
export class OperationFailed extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "OperationFailed";
  }
}

/** Commands that lock nothing, and so are in nobody's way. */
const readingOnly: ReadonlySet<string> = new Set(["outputs", "status", "chat", "logs"]);

/** Which operation, and how it is told. */
interface OperationSettings {
  readonly command: string;
  readonly open: Opening;
  readonly verbose: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Does something with a stack, with progress, its full output in a log file, and failures told so that they help.
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
  // What an `apply` throws arrives here; Pulumi listens too, and makes it a line of text.
  process.on("unhandledRejection", collect);
  try {
    if (!readingOnly.has(command)) clearDeadLocks(session.stack, progress);
    stack = await openStack(session, settings.open, programThatReports(collect));
    // Pulumi looks at a signal only while it works; one that came before it began is ours to see.
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

/** The program; what it throws is reported before Pulumi makes a line of text of it. */
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

/** None where the state cannot be read: the failure itself is then about that. */
async function explainContainers(stack: Stack | undefined, said: string): Promise<string[]> {
  const state = stack && (await deploymentOf(stack).catch(() => undefined));
  return state === undefined ? [] : explainUnhealthy(idOf(state), said);
}

/**
 * A killed command cannot unlock its stack; Pulumi would keep every later one out.
 * @throws OperationFailed if nobody can tell whose a lock is
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

/** The file is made, and named, when there is something to write. */
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
