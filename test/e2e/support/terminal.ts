import { execa } from "execa";
import { expect } from "vitest";

/** What a user at a terminal sees of a command, and types. */
export interface Terminal extends AsyncDisposable {
  /** Of `script`, whose child the command is. */
  readonly pid: number;
  /** All that was on the screen until now. */
  readonly screen: () => string;
  readonly type: (keys: string) => void;
  /** Waits until the screen shows something. */
  readonly shows: (what: string | RegExp) => Promise<void>;
  /** The command's exit code, when it has ended. */
  readonly ended: Promise<number | undefined>;
}

export const ctrlC = "\u0003";

/** Runs a command in a pseudo-terminal, by `script` of util-linux. */
export function inTerminal(command: string, cwd: string, env: Readonly<Record<string, string | undefined>>): Terminal {
  // Without exec, some shells stay between `script` and the command, and keep the signals that a test sends.
  const args = ["--quiet", "--return", "--flush", "--command", `exec ${command}`, "/dev/null"];
  const running = execa("script", args, { cwd, env, all: true, reject: false });
  let screen = "";
  running.all.on("data", (data: Buffer) => {
    screen += data.toString();
  });
  return {
    pid: running.pid ?? 0,
    screen: () => screen,
    type: (keys) => {
      running.stdin.write(keys);
    },
    shows: async (what) => {
      await expect.poll(() => screen, { timeout: 60_000, interval: 50 }).toMatch(what);
    },
    ended: running.then(({ exitCode }) => exitCode),
    async [Symbol.asyncDispose]() {
      running.kill("SIGKILL");
      await running;
    },
  };
}
