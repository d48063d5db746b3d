import { expect, test } from "vitest";
import { stackToConfigure } from "../../../cli/commands.ts";

test.each([
  [["config", "set", "model", "x", "--stack", "dev"], "dev"],
  [["config", "set", "--secret", "apiKeys", "-s", "dev"], "dev"],
  [["config", "--stack=dev"], "dev"],
  [["config", "set", "model", "x"], undefined],
  [["stack", "rm", "--stack", "dev"], undefined],
  [[], undefined],
])("of the arguments %j the stack to make ready for settings is %s", (args, stack) => {
  expect(stackToConfigure(args)).toBe(stack);
});
