import { once } from "node:events";
import { createInterface } from "node:readline";
import { OperationFailed } from "./operation.ts";

/**
 * Asks before something that cannot be taken back.
 * @param what what is about to be done, such as "remove stack prod"
 * @param command the command that does it unasked
 * @throws OperationFailed unless the user says yes, and where there is no terminal to ask on
 */
export async function confirm(what: string, command: string, signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new OperationFailed(
      `there is no terminal to ask on whether to ${what}; nothing was done\n  right: ${command}`,
    );
  }
  process.stderr.write(`${what}? (y/N) `);
  const lines = createInterface({ input: process.stdin });
  try {
    // The end of input, Ctrl-D, is no yes.
    const [answer = ""] = (await Promise.race([once(lines, "line", { signal }), once(lines, "close", { signal })])) as [
      string?,
    ];
    if (!/^y(es)?$/i.test(answer.trim())) throw new OperationFailed("nothing was done");
  } finally {
    lines.close();
  }
}
