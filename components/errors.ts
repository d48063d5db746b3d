import { RunError } from "@pulumi/pulumi";

/** One mistake of the user's: which setting, what it is now, what is wrong with it and what would be right. */
export interface Problem {
  /** The setting's name as the user writes it in Pulumi.<stack>.yaml, or another name that the user can act on. */
  key: string;
  /** The value as given; left out where it is a secret or where nothing was given. */
  value?: unknown;
  wrong: string;
  right: string;
}

/**
 * A mistake of the user's, to be told without a stack trace. It extends Pulumi's RunError, which the language host
 * prints as its message alone; anything else that is thrown is a bug of ours and keeps its trace.
 */
export class UserError extends RunError {
  readonly problems: readonly Problem[];

  constructor(...problems: Problem[]) {
    super(problems.map(describe).join("\n"));
    this.name = "UserError";
    this.problems = problems;
  }
}

/** The result of a check that reports problems instead of throwing them, so that the other checks can run as well. */
export interface Checked<T> {
  /** Undefined if it could not be found out. */
  readonly found: T | undefined;
  readonly problems: readonly Problem[];
}

/** Runs a check that throws a UserError, and reports its problems instead. Any other error is a bug and goes on. */
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
