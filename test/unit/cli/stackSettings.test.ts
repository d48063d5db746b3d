import { expect, test } from "vitest";
import { StackText } from "../../../cli/stackSettings.ts";
import { UserError } from "../../../components/errors.ts";

const text = `# mine
config:
  bitnet-server:replicas: 2 # both of them
  bitnet-server:apiKey:
    secure: v1:abc
  other:key: value
encryptionsalt: v1:xyz
`;

test("a setting is added, and comments, secrets and the salt stay as they were", () => {
  const stack = new StackText(text);
  stack.set("memlock", "inherit");
  expect(stack.toString()).toBe(text.replace("encryptionsalt", "  bitnet-server:memlock: inherit\nencryptionsalt"));
});

test("settings are read by their key; a secret is there, but not readable", () => {
  const stack = new StackText(text);
  expect(stack.get("replicas")).toBe("2");
  expect(stack.has("apiKey")).toBe(true);
  expect(stack.get("apiKey")).toBeUndefined();
  expect(stack.all()).toEqual([["replicas", 2]]);
});

test("a file that is no YAML is named", () => {
  expect(() => new StackText("config: [", "Pulumi.dev.yaml")).toThrow(UserError);
  expect(() => new StackText("config: [", "Pulumi.dev.yaml")).toThrow(/^Pulumi\.dev\.yaml/);
});
