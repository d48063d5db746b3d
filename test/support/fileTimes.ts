import type { Reporter, TestModule } from "vitest/node";
import { duration } from "../../cli/duration.ts";

/** How long a test file took in ms, loading and hooks included. */
export interface FileTime {
  file: string;
  milliseconds: number;
}

/** Prints at the end how long each file took, the slowest first. */
export class FileTimes implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const times = modules.map((module) => {
      const { collectDuration, duration, setupDuration } = module.diagnostic();
      const file = module.relativeModuleId;
      return { file, milliseconds: collectDuration + setupDuration + duration };
    });
    console.log(`\n${fileTimes(times)}\n`);
  }
}

/** A line for each file that took a second or more, the slowest first, and one for all the others. */
export function fileTimes(times: readonly FileTime[]): string {
  const slow = times.filter(({ milliseconds }) => milliseconds >= 1000);
  const quick = times.filter(({ milliseconds }) => milliseconds < 1000);
  const rows = slow
    .toSorted((a, b) => b.milliseconds - a.milliseconds)
    .map(({ file, milliseconds }) => [duration(milliseconds), file] as const);
  const others = quick.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  if (quick.length > 0) rows.push([duration(others), `${quick.length} others, each under a second`]);
  return ["how long each file took:", ...rows.map(([time, file]) => `${time.padStart(8)}  ${file}`)].join("\n");
}
