import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { FileTimes } from "./test/support/fileTimes.ts";
import { SkipIsFailure } from "./test/support/skipIsFailure.ts";

const minute = 60_000;

export default defineConfig({
  test: {
    // .ci/run counts from the file.
    reporters: ["default", "json", new FileTimes(), ...(process.env.CI === "true" ? [new SkipIsFailure()] : [])],
    // By default one core is left idle; some tests wait, for a retry or for another process.
    maxWorkers: availableParallelism() + 1,
    outputFile: { json: ".state/test-results.json" },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          testTimeout: minute,
          hookTimeout: minute,
          // Loading the same modules for every file anew would take as long as the tests.
          isolate: false,
        },
      },
      { test: { name: "program", include: ["test/program/**/*.test.ts"], testTimeout: minute } },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: "test/e2e/support/globalSetup.ts",
          // One after the other, after the quick ones: they share the machine's CPUs, and replicas need theirs alone.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          // The engine's first compile takes 10 minutes on 2 cores.
          testTimeout: 10 * minute,
          hookTimeout: 40 * minute,
        },
      },
    ],
  },
});
