import { once } from "node:events";
import { createInterface } from "node:readline";
import { OperationFailed } from "./operation.ts";

/**
 * Asks before something that cannot be taken back.
 * @param question such as "Remove everything that stack prod created?"
 * @param command the command that does it unasked
 * @throws OperationFailed unless the user says yes, and where there is no terminal to ask on
 */
export async function confirm(question: string, command: string, signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new OperationFailed(
      `without a terminal there is no asking for confirmation; nothing was removed\n  right: ${command}`,
    );
  }
  process.stderr.write(`${question} (y/N) `);
  const lines = createInterface({ input: process.stdin });
  try {
    // The end of input, Ctrl-D, is no yes.
    const [answer = ""] = (await Promise.race([once(lines, "line", { signal }), once(lines, "close", { signal })])) as [
      string?,
    ];
    if (!/^y(es)?$/i.test(answer.trim())) throw new OperationFailed("nothing was removed");
  } catch (error) {
    if (signal.aborted) throw new OperationFailed("nothing was removed", { cause: error });
    throw error;
  } finally {
    lines.close();
  }
}
