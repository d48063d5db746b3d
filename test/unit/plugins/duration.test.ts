import { expect, test } from "vitest";
import { formatDuration, parseDuration } from "../../../offline/plugins/docker/duration.ts";

test.for([
  ["0s", 0],
  ["250ms", 250e6],
  ["1.5s", 1.5e9],
  ["1m0s", 60e9],
  ["1h0m30s", 3630e9],
] as const)("%s is read and written as Go does", ([text, nanoseconds]) => {
  expect(parseDuration(text)).toBe(nanoseconds);
  expect(formatDuration(nanoseconds)).toBe(text);
});

test.for(["", "5", "5 s", "-1s", "five seconds"])("%j is no duration", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});
