import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { isLoopback, parseSettings, settingKeys } from "../../../components/settings/schema.ts";
import { userErrorOf } from "../../support/userError.ts";

const declared = (
  parse(readFileSync(new URL("../../../Pulumi.yaml", import.meta.url), "utf8")) as {
    config: Record<string, { default: unknown; description: string }>;
  }
).config;

/** What Pulumi hands to the program when a stack sets nothing: Pulumi.yaml's defaults. */
const defaults = Object.fromEntries(
  Object.entries(declared).map(([key, { default: value }]) => [
    key,
    typeof value === "string" ? value : JSON.stringify(value),
  ]),
);

function problemsOf(changes: Record<string, string>) {
  return userErrorOf(() => parseSettings({ ...defaults, ...changes })).problems;
}

test("Pulumi.yaml declares every setting, and no other, each with a default and a description", () => {
  expect(Object.keys(declared).toSorted()).toEqual([...settingKeys].toSorted());
  for (const { default: value, description } of Object.values(declared)) {
    expect(value).toBeDefined();
    expect(description.length).toBeGreaterThan(20);
  }
});

test("Pulumi.yaml's defaults are a stack that works: this machine, the default model, loopback, one replica", () => {
  expect(parseSettings(defaults)).toMatchObject({
    target: "docker",
    model: "bitnet-b1.58-2B-4T",
    engine: "bitnet.cpp",
    optimize: true,
    replicas: 1,
    parallel: 1,
    port: 8088,
    bindAddress: "127.0.0.1",
    extraArgs: [],
  });
});

test("a setting that is empty is not set", () => {
  expect(parseSettings({ ...defaults, modelUrl: "", threads: "" })).not.toHaveProperty("modelUrl");
});

test.each([
  ["replicas", "0", "less than 1", "a whole number from 1 to 64"],
  ["replicas", "-1", "less than 1", "a whole number from 1 to 64"],
  ["replicas", "1.5", "not a whole number", "a whole number from 1 to 64"],
  ["replicas", "two", "not a whole number", "a whole number from 1 to 64"],
  ["replicas", "500", "more than 64", "a whole number from 1 to 64"],
  ["port", "0", "less than 1", "a whole number from 1 to 65535"],
  ["port", "70000", "more than 65535", "a whole number from 1 to 65535"],
  ["contextSize", "10", "less than 256", "a whole number from 256 to 1048576"],
  ["optimize", "yes", "neither true nor false", "true or false"],
  ["engine", "llama.cpp", "not one of the possible values", "bitnet.cpp or ik_llama.cpp"],
  ["target", "moon", "not one of the possible values", "docker or aws"],
  ["memlock", "lots", "not one of the possible values", "unlimited or inherit"],
  ["bindAddress", "localhost", "not an IP address", "an IP address of this machine"],
  ["modelSha256", "abc", "not of the right form", "the file's SHA-256: 64 hexadecimal digits in lower case"],
  ["extraArgs", "--foo", "not a list", 'a list of llama-server arguments, such as ["--cache-reuse", "256"]'],
])("%s: %j is refused: what is wrong with it, and what would be right", (key, value, wrong, right) => {
  expect(problemsOf({ [key]: value })).toEqual([{ key, value, wrong, right }]);
});

test("an unknown key is refused, with the nearest that there is", () => {
  expect(problemsOf({ replcas: "2" })).toMatchObject([{ key: "replcas", right: "did you mean replicas?" }]);
  expect(problemsOf({ zzzzzzzzzzzz: "2" })[0]?.right).toContain("modelUrl");
});

test("an unknown key's value is shown, unless it is encrypted: it may be a secret under a misspelt name", () => {
  expect(problemsOf({ apikey: "something" })).toMatchObject([{ value: "something", right: "did you mean apiKey?" }]);
  const attempt = () => parseSettings({ ...defaults, apikey: "something" }, (key) => key === "apikey");
  expect(userErrorOf(attempt).message).not.toContain("something");
});

test("an API key with a line break is refused, and is not shown", () => {
  const [problem, ...others] = problemsOf({ apiKey: "secret-one\nsecret-two" });
  expect(others).toEqual([]);
  expect(problem).toMatchObject({ key: "apiKey", wrong: "not of the right form" });
  expect(JSON.stringify(problem)).not.toContain("secret-one");
});

test("all mistakes are told together", () => {
  expect(problemsOf({ replicas: "0", port: "x", modle: "y" }).map(({ key }) => key)).toEqual([
    "replicas",
    "port",
    "modle",
  ]);
});

test("two settings that cannot go together are refused", () => {
  expect(problemsOf({ statsPort: "8088" })).toMatchObject([{ key: "statsPort", wrong: "port is the same port" }]);
  expect(problemsOf({ registry: "registry.example.com/a/b", registryUsername: "me" })).toMatchObject([
    { key: "registryPassword" },
  ]);
});

test.each(["--api-key=abcdefgh", "--api_key", "--ctx_size", "-tb", "--threads-batch", "-ub", "-mu", "--cache_ram"])(
  "%s is the server's entrypoint's to set, and no extra argument",
  (argument) => {
    const [problem] = problemsOf({ extraArgs: JSON.stringify(["--verbose", argument]) });
    expect(problem).toMatchObject({ key: "extraArgs", wrong: `${argument} is for the server's entrypoint to set` });
  },
);

test("other arguments of llama-server are taken as they are", () => {
  const extraArgs = ["--chat_template", "chatml", "-fa"];
  expect(parseSettings({ ...defaults, extraArgs: JSON.stringify(extraArgs) }).extraArgs).toEqual(extraArgs);
});

test("loopback is every address that only this machine reaches", () => {
  expect(["127.0.0.1", "127.1.2.3", "::1"].every(isLoopback)).toBe(true);
  expect(["0.0.0.0", "::", "192.0.2.1"].some(isLoopback)).toBe(false);
});

test.each([
  ["instanceType", "big", "an EC2 instance type, such as c7a.2xlarge"],
  ["zones", "1", "a whole number from 2 to 8"],
  ["spot", "101", "a whole number from 0 to 100"],
  ["egress", "vpn", "nat or endpoints"],
  ["allowedCidrs", '["10.0.0.0"]', 'a list of IP ranges, such as ["203.0.113.0/24"]'],
  ["vpcId", "my-vpc", "the id of a VPC, such as vpc-0123456789abcdef0"],
  ["domain", "https://llm.example.com", "a host name, such as llm.example.com"],
  [
    "certificateArn",
    "arn:aws:iam::123456789012:x",
    "the ARN of an ACM certificate, arn:aws:acm:REGION:ACCOUNT:certificate/ID",
  ],
  ["alarmEmail", "ops", "an e-mail address"],
  ["logRetentionDays", "2", "1, 3, 5, 7, 14, 30, 60, 90, 180 or 365"],
  ["allowPlainHttp", "maybe", "true or false"],
])("target aws, %s: %j is refused, with what would be right", (key, value, right) => {
  expect(problemsOf({ target: "aws", [key]: value })).toMatchObject([{ key, value, right }]);
});

test("API keys are refused without being shown", () => {
  const problems = problemsOf({ target: "aws", apiKeys: '["short","with a space in it"]' });
  expect(problems.length).toBeGreaterThan(0);
  expect(JSON.stringify(problems)).not.toMatch(/short|with a space/);
});

test("target aws without a domain is refused, unless plain HTTP is asked for", () => {
  expect(problemsOf({ target: "aws" })).toMatchObject([{ key: "domain" }]);
  expect(parseSettings({ ...defaults, target: "aws", allowPlainHttp: "true" }).target).toBe("aws");
  expect(problemsOf({ apiKeys: '["some-key-0123"]' })).toMatchObject([
    { key: "apiKeys", right: "the key in `apiKey`" },
  ]);
});

const aws = { target: "aws", allowPlainHttp: "true" };

test.each([
  ["203.0.113.5/24", "203.0.113.0/24"],
  ["2001:db8::1/32", "2001:db8::/32"],
])("a range that is not named by its first address, %s, is refused, and %s is named", (cidr, network) => {
  expect(problemsOf({ ...aws, allowedCidrs: JSON.stringify(["198.51.100.0/24", cidr]) })).toMatchObject([
    { key: "allowedCidrs", wrong: `${cidr} is an address in a range, and the range is ${network}` },
  ]);
});

test("more ranges than a security group takes are refused, for each version of IP and port", () => {
  const ranges = (count: number, form: (index: number) => string) =>
    JSON.stringify(Array.from({ length: count }, (_, index) => form(index)));
  const v4 = (count: number) => ranges(count, (index) => `10.0.${index}.0/24`);
  expect(problemsOf({ ...aws, allowedCidrs: v4(61) })).toMatchObject([
    { key: "allowedCidrs", right: "at most 60 of IPv4, larger ones" },
  ]);
  expect(problemsOf({ target: "aws", domain: "llm.example.com", allowedCidrs: v4(31) })).toMatchObject([
    { key: "allowedCidrs", right: "at most 30 of IPv4, larger ones" },
  ]);
  expect(problemsOf({ ...aws, allowedCidrs: ranges(61, (index) => `2001:db8:${index}::/48`) })).toMatchObject([
    { key: "allowedCidrs", right: "at most 60 of IPv6, larger ones" },
  ]);
  expect(parseSettings({ ...defaults, ...aws, allowedCidrs: v4(60) }).allowedCidrs).toHaveLength(60);
});

test("more keys than HAProxy takes are refused, and not shown", () => {
  const keys = (count: number) => JSON.stringify(Array.from({ length: count }, (_, index) => `some-key-${index}`));
  const problems = problemsOf({ ...aws, apiKeys: keys(51) });
  expect(problems).toMatchObject([{ key: "apiKeys", right: "at most 50" }]);
  expect(JSON.stringify(problems)).not.toContain("some-key");
  expect(parseSettings({ ...defaults, ...aws, apiKeys: keys(50) }).apiKeys).toHaveLength(50);
});
