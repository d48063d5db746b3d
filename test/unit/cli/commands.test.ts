import { expect, test } from "vitest";
import { stackOf } from "../../../cli/commands/tools.ts";
import { shortName, stackFile } from "../../../cli/paths.ts";

test.each([
  [["config", "set", "model", "x", "--stack", "dev"], "dev"],
  [["config", "set", "--secret", "apiKeys", "-s", "dev"], "dev"],
  [["config", "--stack=dev"], "dev"],
  [["config", "set", "model", "x"], undefined],
  [["config", "set", "smokePrompt", "what does -s mean"], undefined],
  [["stack", "rm", "--stack", "dev"], "dev"],
  [[], undefined],
])("the arguments %j of Pulumi's CLI name the stack %s", (args, stack) => {
  expect(stackOf(args)).toBe(stack);
});

test("a stack's full name is another name for the same files and labels", () => {
  expect(shortName("organization/bitnet-server/dev")).toBe("dev");
  expect(shortName("dev")).toBe("dev");
  expect(stackFile("organization/bitnet-server/dev")).toBe(stackFile("dev"));
});
