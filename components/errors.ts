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

function describe({ key, value, wrong, right }: Problem): string {
  const shown = value === undefined ? key : `${key}: ${JSON.stringify(value)}`;
  return `${shown}\n  wrong: ${wrong}\n  right: ${right}`;
}
