import type { Reporter, TestCase, TestModule } from "vitest/node";

/** With CI=true a test that is skipped fails the run: what is promised is shown there, or it is not. */
export class SkipIsFailure implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests("skipped")]);
    if (skipped.length === 0) return;
    process.exitCode = 1;
    console.error(`CI=true, and ${skipped.length} skipped:\n${skipped.map(describe).join("\n")}`);
  }
}

function describe(test: TestCase): string {
  const result = test.result();
  const reason = result.state === "skipped" ? result.note : undefined;
  return `  ${test.module.relativeModuleId} > ${test.fullName}${reason === undefined ? "" : `: ${reason}`}`;
}
