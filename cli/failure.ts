import { relative } from "node:path";
import { RunError } from "@pulumi/pulumi";
import { CommandError, ConcurrentUpdateError, StackNotFoundError } from "@pulumi/pulumi/automation/index.js";
import type { Failure } from "./engineEvents.ts";
import { checkout, stackFile, state } from "./paths.ts";

/** What is known about a command that failed. */
export interface Evidence {
  readonly stack: string;
  /** What the command threw. */
  readonly error: unknown;
  /** What the program threw, before Pulumi reduced it to a line of text. */
  readonly thrown: readonly unknown[];
  /** What the engine reported. */
  readonly failures: readonly Failure[];
}

/** Describes a failure: a user's mistake or a failed resource by its message, a bug with its stack trace. */
export function describeFailure({ stack, error, thrown, failures }: Evidence): string {
  const said = [messageOf(error), ...failures.map(({ message }) => message)].join("\n");
  const known = explainPulumi(stack, said, error);
  if (known !== undefined) return known;

  const ofProgram = thrown.map((thing) => (isMistake(thing) ? messageOf(thing) : traceOf(thing)));
  const ofEngine = failures
    .filter(({ message }) => !thrown.some((thing) => message.includes(messageOf(thing))))
    .map(({ resource, message }) => (resource === undefined ? message : `${resource}: ${message}`));
  const advice = /no space left on device/i.test(said) ? [diskFull] : [];
  if (ofProgram.length + ofEngine.length > 0) {
    return [...new Set([...ofProgram, ...ofEngine, ...advice])].join("\n\n");
  }
  if (error instanceof CommandError) return errorLines(error.message);
  return isMistake(error) ? messageOf(error) : traceOf(error);
}

const diskFull = [
  "disk of the Docker Engine",
  "  wrong: it is full",
  "  right: see what takes the room with docker system df, free some with docker system prune, and run the command again",
].join("\n");

/** Advice for a lock whose owner may still run, for example on another machine. */
export function takeLockAway(stack: string): string[] {
  return [
    `  right: wait until it is done; if none runs any more, take its lock away, and run this command again:`,
    `    npm run pulumi -- cancel --yes --stack ${stack}`,
  ];
}

/** Pulumi's own refusals, with what to do about them. */
function explainPulumi(stack: string, said: string, error: unknown): string | undefined {
  if (error instanceof ConcurrentUpdateError) {
    const owners = [...said.matchAll(/created by (\S+) \(pid (\d+)\) at (\S+)/g)].map(
      ([, who = "", pid = "", since = ""]) => `  by ${who}, process ${pid}, since ${since}`,
    );
    const inUse = `stack ${stack}: another command is working on it (or was killed while it did)`;
    return [inUse, ...new Set(owners), ...takeLockAway(stack)].join("\n");
  }
  if (error instanceof StackNotFoundError) {
    return `stack: "${stack}"\n  wrong: no stack has this name\n  right: npm run up -- --stack ${stack}`;
  }
  if (/incorrect passphrase/.test(said)) {
    const file = relative(checkout, stackFile(stack));
    return [
      `passphrase of stack ${stack}`,
      `  wrong: it does not open the stack's secrets: encryptionsalt in ${file} is of another one, perhaps somebody else's`,
      `  right: that one, in PULUMI_CONFIG_PASSPHRASE, PULUMI_CONFIG_PASSPHRASE_FILE or ${relative(checkout, state)}/passphrase;`,
      `    or, for a stack of your own, delete encryptionsalt and every \`secure:\` setting from ${file}`,
    ].join("\n");
  }
  return undefined;
}

/** The variables that point plain `pulumi` to the same state and passphrase; "" if it finds them by itself. */
export function stateVariables(env: NodeJS.ProcessEnv = process.env): string {
  const names = ["PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE"];
  return names.flatMap((name) => (env[name] === undefined ? [] : [`${name}='${env[name]}'`])).join(" ");
}

/** A CommandError is the whole output of the CLI; what matters starts with "error:". */
function errorLines(output: string): string {
  const start = output.search(/^\s*error: /m);
  return start < 0 ? output : output.slice(start).trim();
}

/** A UserError is a RunError, as are the mistakes that Pulumi itself finds in a program's configuration. */
function isMistake(error: unknown): boolean {
  return RunError.isInstance(error);
}

function traceOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
