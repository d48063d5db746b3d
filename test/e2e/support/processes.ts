import { execaSync } from "execa";

/** A process and all that it has started, and they. */
export function descendants(pid: number): number[] {
  return [pid, ...pgrep("--parent", String(pid)).flatMap(descendants)];
}

/** The processes whose command line has this text. */
export function processesWith(text: string): number[] {
  return pgrep("--full", "--", text);
}

function pgrep(...args: string[]): number[] {
  const { stdout } = execaSync("pgrep", args, { reject: false });
  return stdout.split("\n").filter(Boolean).map(Number);
}
