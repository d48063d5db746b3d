import { RunError } from "@pulumi/pulumi";

/** One mistake of the user: which setting, its current value, what is wrong with it and what would be right. */
export interface Problem {
  /** The setting's name as the user writes it in Pulumi.<stack>.yaml, or another name that the user can act on. */
  key: string;
  /** The value as given; left out if it is a secret or nothing was given. */
  value?: unknown;
  wrong: string;
  right: string;
}

/**
 * A mistake of the user, reported without a stack trace. It extends Pulumi's RunError, of which the language host
 * prints only the message. Anything else that is thrown is our bug and keeps its trace.
 */
export class UserError extends RunError {
  readonly problems: readonly Problem[];

  constructor(...problems: Problem[]) {
    super(problems.map(describe).join("\n"));
    this.name = "UserError";
    this.problems = problems;
  }
}

/** The result of a check that reports problems instead of throwing them, so that other checks can run, too. */
export interface Checked<T> {
  /** Undefined if it could not be determined. */
  readonly found: T | undefined;
  readonly problems: readonly Problem[];
}

/** Runs a check that throws a UserError, and returns its problems instead. Any other error is a bug and is rethrown. */
export async function attempt<T>(check: () => T | Promise<T>): Promise<Checked<T>> {
  try {
    return { found: await check(), problems: [] };
  } catch (error) {
    if (error instanceof UserError) return { found: undefined, problems: error.problems };
    throw error;
  }
}

function describe({ key, value, wrong, right }: Problem): string {
  const shown = value === undefined ? key : `${key}: ${JSON.stringify(value)}`;
  return `${shown}\n  wrong: ${wrong}\n  right: ${right}`;
}
