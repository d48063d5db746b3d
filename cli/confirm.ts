import { once } from "node:events";
import { createInterface } from "node:readline";
import { OperationFailed } from "./operation.ts";

/** Whether there is a terminal to ask a question on. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/**
 * Asks for confirmation before something irreversible.
 * @param question such as "Remove everything that stack prod created?"
 * @param command the command that does it without asking
 * @throws OperationFailed if the user does not say yes, or there is no terminal to ask on
 */
export async function confirm(question: string, command: string, signal: AbortSignal): Promise<void> {
  if (!canAsk()) {
    throw new OperationFailed(
      `cannot ask for confirmation without a terminal; nothing was removed\n  right: ${command}`,
    );
  }
  if (!(await ask(question, false, signal))) throw new OperationFailed("nothing was removed");
}

/**
 * Asks a question on the terminal. End of input (Ctrl-D) and Ctrl-C count as no.
 * @param byDefault what an empty line means
 */
export async function ask(question: string, byDefault: boolean, signal: AbortSignal): Promise<boolean> {
  process.stderr.write(`${question} ${byDefault ? "(Y/n)" : "(y/N)"} `);
  const lines = createInterface({ input: process.stdin });
  try {
    const [answer = "n"] = (await Promise.race([
      once(lines, "line", { signal }),
      once(lines, "close", { signal }),
    ])) as [string?];
    return answer.trim() === "" ? byDefault : /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  } finally {
    lines.close();
  }
}
