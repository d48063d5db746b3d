import type { Assignment } from "../assignments.ts";
import type { Progress } from "../progress.ts";

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
