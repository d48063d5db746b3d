import { expect, test, vi } from "vitest";
import { taskDefinitionLimit } from "../../components/aws/service/taskDefinition.ts";
import { account, awsError, region } from "./aws.ts";
import type { Surroundings } from "./program.ts";
import { runProgram } from "./program.ts";

const plain = { target: "aws", allowPlainHttp: "true", allowedCidrs: '["203.0.113.0/24"]' };
const secured = { target: "aws", domain: "llm.example.com" };
const contains = (text: string) => expect.stringContaining(text) as string;

async function problemsOf(config: Record<string, string>, surroundings: Surroundings = {}): Promise<unknown> {
  return runProgram(config, true, surroundings).then(
    () => [],
    (error: unknown) => (error as { problems?: unknown }).problems ?? error,
  );
}

async function warningsOf(surroundings: Surroundings): Promise<string> {
  const told = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  try {
    await runProgram(plain, true, surroundings);
    return told.mock.calls.flat().join("\n");
  } finally {
    told.mockRestore();
  }
}

test("a domain whose zone public DNS does not lead to is refused: its certificate would never come", async () => {
  const notFound = Object.assign(new Error("queryNs ENOTFOUND"), { code: "ENOTFOUND" });
  for (const publicDns of [["ns.registrar.net"], notFound]) {
    expect(await problemsOf(secured, { publicDns })).toMatchObject([
      { key: "domain", wrong: contains("do not reach its zone example.com"), right: contains("ns-1.awsdns-01.com") },
    ]);
  }
});

test("where public DNS cannot be asked, and for a private zone, the delegation is not checked", async () => {
  const silent = Object.assign(new Error("queryNs ETIMEOUT"), { code: "ETIMEOUT" });
  expect(await problemsOf(secured, { publicDns: silent })).toEqual([]);
  const certificateArn = `arn:aws:acm:${region}:${account}:certificate/01234567-89ab-cdef-0123-456789abcdef`;
  const internal = { ...secured, internal: "true", certificateArn, hostedZone: "internal.example.com" };
  expect(await problemsOf(internal, { publicDns: ["ns.registrar.net"] })).toEqual([]);
});

test("a customer's key as the default for disks is warned of: Auto Scaling has to be let use it", async () => {
  const keyArn = `arn:aws:kms:${region}:${account}:key/0123`;
  const answers = {
    "aws:ebs/getDefaultKmsKey:getDefaultKmsKey": () => ({ keyArn }),
    "aws:kms/getKey:getKey": () => ({ keyManager: "CUSTOMER", enabled: true }),
  };
  expect(await warningsOf({ answers })).toContain(`${keyArn}: unless its policy or a grant lets the role`);
  expect(await warningsOf({})).not.toContain("customer's key");
});

test("a default key that may not be looked at stops nobody", async () => {
  const forbidden = () => {
    throw awsError("AccessDeniedException");
  };
  expect(await warningsOf({ answers: { "aws:kms/getKey:getKey": forbidden } })).not.toContain("AccessDenied");
});

test("service-linked roles that the account lacks are warned of by name; one that may not be looked at is not", async () => {
  const lacking = (...names: string[]) => ({
    "aws:iam/getRole:getRole": ({ name }: Record<string, unknown>) => {
      if (name === "AWSServiceRoleForECS") throw awsError("AccessDenied");
      if (names.includes(String(name))) throw awsError(`reading IAM Role (${String(name)}): couldn't find resource`);
      return { name };
    },
  });
  const scaling = "AWSServiceRoleForApplicationAutoScaling_ECSService";
  const answers = lacking("AWSServiceRoleForECS", "AWSServiceRoleForAutoScaling", scaling);
  expect(await warningsOf({ answers })).toContain(
    `the account does not have AWSServiceRoleForAutoScaling, ${scaling} yet: the update creates them`,
  );
  expect(await warningsOf({ answers: lacking() })).not.toContain("AWSServiceRole");
});

test("credentials that end soon are warned of", async () => {
  vi.stubEnv("AWS_SESSION_TOKEN", "token");
  vi.stubEnv("AWS_CREDENTIAL_EXPIRATION", new Date(Date.now() + 600_000).toISOString());
  try {
    expect(await warningsOf({})).toContain("the credentials in the environment end in");
  } finally {
    vi.unstubAllEnvs();
  }
});

test("a plugin that is missing is not told as missing credentials", async () => {
  const answers = {
    "aws:index/getCallerIdentity:getCallerIdentity": () => {
      throw awsError("no resource plugin 'pulumi-resource-aws' found in the workspace or on your $PATH");
    },
  };
  expect(await problemsOf(plain, { answers })).toMatchObject([{ key: "Pulumi's aws plugin" }]);
});

test("a task definition that ECS would not take is refused", async () => {
  const withArgument = (length: number) => ({ ...plain, extraArgs: JSON.stringify(["--lora", "a".repeat(length)]) });
  expect(await problemsOf(withArgument(taskDefinitionLimit))).toMatchObject([
    { key: "task definition", wrong: contains(`task definitions of ${taskDefinitionLimit} bytes`) },
  ]);
  expect(await problemsOf(withArgument(1000))).toEqual([]);
});
