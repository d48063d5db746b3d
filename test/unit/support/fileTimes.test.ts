import { expect, test } from "vitest";
import { fileTimes } from "../../support/fileTimes.ts";

test("the slowest file comes first, and those under a second share a line", () => {
  const times = [
    { file: "quick.test.ts", milliseconds: 900 },
    { file: "slow.test.ts", milliseconds: 2_400 },
    { file: "slowest.test.ts", milliseconds: 400_000 },
    { file: "quicker.test.ts", milliseconds: 300 },
  ];
  expect(fileTimes(times).split("\n")).toEqual([
    "how long each file took:",
    "   6m40s  slowest.test.ts",
    "      2s  slow.test.ts",
    "      1s  2 others, each under a second",
  ]);
});
