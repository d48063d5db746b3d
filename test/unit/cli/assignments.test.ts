import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { assign, parseAssignment } from "../../../cli/assignments.ts";
import { stackFile } from "../../../cli/paths.ts";
import { userErrorOf } from "../../support/userError.ts";

const stack = `test-assignments-${process.pid}`;
const file = stackFile(stack);
const before = "config:\n  bitnet-server:replicas: 1 # for now\n  bitnet-server:apiKeys:\n    secure: v1:abc\n";

afterEach(() => {
  rmSync(file, { force: true });
});

test("--set takes a key of this project's or of another namespace, and a value with any characters", () => {
  expect(parseAssignment("replicas=2")).toEqual({ key: "replicas", value: "2" });
  expect(parseAssignment("bitnet-server:replicas=2")).toEqual({ key: "replicas", value: "2" });
  expect(parseAssignment("aws:region=eu-central-1")).toEqual({ key: "aws:region", value: "eu-central-1" });
  expect(parseAssignment("smokePrompt=1 + 1 = ?")).toEqual({ key: "smokePrompt", value: "1 + 1 = ?" });
  expect(userErrorOf(() => parseAssignment("replicas")).message).toContain("--set replicas=2");
});

test.each(["apiKeys", "modelToken", "registryPassword", "apiKey", "aws:secretKey", "docker:registryAuth"])(
  "--set takes no secret, which other users would see: %s",
  (key) => {
    const { message } = userErrorOf(() => parseAssignment(`${key}=very-secret`));
    expect(message).toContain(`config set --secret ${key}`);
    expect(message).not.toContain("very-secret");
  },
);

test("a setting of --set is saved in the stack's file, whose comments and secrets stay", () => {
  writeFileSync(file, before);
  const assignments = ["replicas=2", "aws:region=eu-central-1"].map(parseAssignment);
  expect(assign(stack, assignments, false)).toBe(
    `saved in Pulumi.${stack}.yaml: replicas = 2, aws:region = eu-central-1`,
  );
  expect(readFileSync(file, "utf8")).toBe(
    `${before.replace("replicas: 1", 'replicas: "2"')}  aws:region: eu-central-1\n`,
  );
});

test("settings that are wrong are refused together, and the file stays as it was", () => {
  writeFileSync(file, before);
  const assignments = ["replicas=two", "contxtSize=1"].map(parseAssignment);
  const { problems } = userErrorOf(() => assign(stack, assignments, true));
  expect(problems.map(({ key }) => key)).toEqual(["replicas", "contxtSize"]);
  expect(readFileSync(file, "utf8")).toBe(before);
});

test("a model is not set where a modelUrl takes precedence", () => {
  writeFileSync(file, "config:\n  bitnet-server:modelUrl: /models/mine.gguf\n");
  const { message } = userErrorOf(() => assign(stack, [parseAssignment("model=Bonsai-8B")], true));
  expect(message).toContain(`config rm modelUrl --stack ${stack}`);
  expect(readFileSync(file, "utf8")).not.toContain("Bonsai");
});

test("only up makes a settings file: the name of another command's stack may be mistyped", () => {
  expect(userErrorOf(() => assign(stack, [parseAssignment("replicas=2")], false)).message).toContain("npm run up");
  expect(existsSync(file)).toBe(false);
  assign(stack, [parseAssignment("replicas=2")], true);
  expect(readFileSync(file, "utf8")).toBe('config:\n  bitnet-server:replicas: "2"\n');
});
