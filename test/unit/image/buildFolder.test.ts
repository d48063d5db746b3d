import { expect, test } from "vitest";
import { buildFolder } from "../../../components/image/buildFolder.ts";

test.each([
  ["dev", ".build/dev"],
  [".hidden", ".build/.hidden"],
  [".", ".build/stack."],
  ["..", ".build/stack.."],
])("a stack named %s is built in %s, below .build and apart from others", (stack, folder) => {
  expect(buildFolder(stack)).toBe(folder);
});
