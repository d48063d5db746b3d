import { expect, test } from "vitest";
import { StackText } from "../../../cli/stackSettings.ts";
import { UserError } from "../../../components/errors.ts";

const text = `# mine
config:
  bitnet-server:replicas: 2 # both of them
  bitnet-server:apiKeys:
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
  expect(stack.has("apiKeys")).toBe(true);
  expect(stack.get("apiKeys")).toBeUndefined();
  expect(stack.all()).toEqual([["replicas", 2]]);
});

test("an empty `config:` sets nothing", () => {
  expect(new StackText("config:\n").all()).toEqual([]);
  expect(new StackText("config: null\n").resolve().isRight).toBe(true);
});

test("a file that is no YAML is named", () => {
  expect(() => new StackText("config: [", "Pulumi.dev.yaml")).toThrow(UserError);
  expect(() => new StackText("config: [", "Pulumi.dev.yaml")).toThrow(/^Pulumi\.dev\.yaml/);
});

function resolve(...lines: string[]) {
  return new StackText(["config:", ...lines.map((line) => `  bitnet-server:${line}`)].join("\n")).resolve();
}

test("what a program is given: the stack's settings, the defaults of the others, no secret", () => {
  const { values, isRight } = resolve("replicas: 2", 'extraArgs: ["--a", "b"]', "modelToken: { secure: v1:abc }");
  expect(values).toMatchObject({ replicas: 2, extraArgs: ["--a", "b"], baseImage: "debian:trixie-slim" });
  expect(values).not.toHaveProperty("modelToken");
  expect(isRight).toBe(true);
});

test.each(["replicas: two", "contxtSize: 1", "port: 70000", "spot: 50"])(
  "a mistake is seen before anything is pulled: %s",
  (line) => {
    expect(resolve(line).isRight).toBe(false);
  },
);

test("a secret is not taken for a setting that is missing", () => {
  const registry = ["registry: registry.example.com/team/bitnet-server", "registryUsername: team"];
  expect(resolve(...registry).isRight).toBe(false);
  expect(resolve(...registry, "registryPassword: { secure: v1:abc }").isRight).toBe(true);
  expect(resolve("port: { secure: v1:abc }").isRight).toBe(true);
});
