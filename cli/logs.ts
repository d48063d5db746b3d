import type { Writable } from "node:stream";
import { execa } from "execa";
import { containerName, stackContainers } from "./stackContainers.ts";

export interface LogOptions {
  /** Follow the logs until the signal comes. */
  readonly follow: boolean;
  /** Number of last lines of each container, or `all`. */
  readonly tail: string;
}

/**
 * Writes what a stack's containers print, each line behind its container's name.
 * @param id the stack's
 * @returns how many containers there are
 */
export async function writeLogs(
  id: string,
  { follow, tail }: LogOptions,
  output: Writable,
  signal: AbortSignal,
): Promise<number> {
  const names = (await stackContainers(id)).map(containerName).toSorted();
  const width = Math.max(...names.map((name) => name.length));
  await Promise.all(
    names.map(async (name) => {
      const args = ["logs", `--tail=${tail}`, ...(follow ? ["--follow"] : []), name];
      const running = execa("docker", args, { all: true, buffer: false, reject: false, cancelSignal: signal });
      for await (const line of running.iterable({ from: "all" })) output.write(`${name.padEnd(width)}  ${line}\n`);
    }),
  );
  return names.length;
}
