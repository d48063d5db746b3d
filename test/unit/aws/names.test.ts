import { expect, test } from "vitest";
import { stackName } from "../../../components/aws/names.ts";

test("an ordinary stack's name is in its things' names as it is", () => {
  expect(stackName("prod", 64)).toBe("bitnet-prod");
});

test("a stack name of 60 characters keeps within the tightest limit, and stays apart from its neighbour", () => {
  const names = ["a", "b"].map((last) => stackName("s".repeat(59) + last, 32));
  expect(new Set(names).size).toBe(2);
  for (const name of names) expect(name).toMatch(/^[a-z0-9-]{1,32}$/);
});

test("what AWS does not take in a name is replaced, and two stacks that differ in it alone stay apart", () => {
  const names = ["team.prod", "team_prod", "Team-Prod", "team-prod"].map((stack) => stackName(stack, 64));
  expect(new Set(names).size).toBe(4);
  for (const name of names) expect(name).toMatch(/^bitnet-team-prod(-[0-9a-f]{8})?$/);
});
