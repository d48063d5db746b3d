import { describe, expect, test } from "vitest";
import { z } from "zod";
import { checkSettings, settingGroups } from "../../../components/settings/schema.ts";
import { describeSetting } from "../../../components/settings/types.ts";

type Values = Record<string, string>;

function check(values: Values, isSecret: (key: string) => boolean = () => false) {
  return checkSettings({ values, isSecret });
}

function problemsOf(values: Values) {
  return check(values).problems;
}

/** The settings of a stack that nothing is wrong with. */
function settingsOf(values: Values) {
  const { settings, problems } = check(values);
  expect(problems).toEqual([]);
  return settings;
}

const aws = { target: "aws", allowPlainHttp: "true" };

describe("defaults", () => {
  test("are a stack that works: this machine, the default model, loopback, one replica", () => {
    expect(settingsOf({})).toMatchObject({
      target: "docker",
      model: "bitnet-b1.58-2B-4T",
      engine: "ik_llama.cpp",
      optimize: true,
      replicas: 1,
      port: 8088,
      bindAddress: "127.0.0.1",
      apiKeys: [],
      extraArgs: [],
    });
  });

  test("a setting that is empty is not set, and has its default", () => {
    expect(settingsOf({ modelUrl: "", threads: "", replicas: "", extraArgs: "" })).toEqual(settingsOf({}));
    expect(settingsOf({ modelUrl: "" })).not.toHaveProperty("modelUrl");
  });

  test("of two equal ports, the one that the stack sets is named", () => {
    const right = "a different port for each";
    expect(problemsOf({ port: "8404" })).toEqual([
      { key: "port", value: "8404", wrong: "statsPort is the same port, by default", right },
    ]);
    expect(problemsOf({ statsPort: "8088" })).toMatchObject([
      { key: "statsPort", wrong: "port is the same port, by default" },
    ]);
    expect(problemsOf({ port: "9000", statsPort: "9000" })).toMatchObject([
      { key: "statsPort", wrong: "port is the same port" },
    ]);
  });

  test("the dashboard's port is compared with the others only if there is a dashboard", () => {
    expect(problemsOf({ monitoringPort: "8404" })).toEqual([]);
    expect(problemsOf({ monitoring: "true", monitoringPort: "8404" })).toMatchObject([
      { key: "monitoringPort", wrong: "statsPort is the same port, by default" },
    ]);
  });

  test("monitoring is the docker target's", () => {
    expect(problemsOf({ ...aws, monitoring: "true" })).toMatchObject([
      { key: "monitoring", wrong: "this is a setting of target docker, and this stack's target is aws" },
    ]);
  });

  test("an existing VPC takes no setting of the stack's own, and the defaults of these are no mistake", () => {
    const subnets = '["subnet-0a","subnet-0b"]';
    const vpc = { ...aws, vpcId: "vpc-0123", publicSubnetIds: subnets, privateSubnetIds: subnets };
    expect(settingsOf(vpc)).toMatchObject({ vpcId: "vpc-0123" });
    expect(problemsOf({ ...vpc, egress: "nat", zones: "2" }).map(({ key }) => key)).toEqual(["zones", "egress"]);
  });

  test("an internal load balancer needs no public subnets of an existing VPC", () => {
    const vpc = { ...aws, vpcId: "vpc-0123", privateSubnetIds: '["subnet-0a","subnet-0b"]' };
    expect(settingsOf({ ...vpc, internal: "true" })).toMatchObject({ internal: true, publicSubnetIds: [] });
    expect(problemsOf(vpc).map(({ key }) => key)).toEqual(["publicSubnetIds"]);
  });

  test("a schedule keeps at least one replica: with none there would be no load that starts one again", () => {
    const scaling = (minReplicas: number) => JSON.stringify([{ cron: "0 19 ? * * *", minReplicas, maxReplicas: 2 }]);
    expect(settingsOf({ ...aws, scaling: scaling(1) })).toMatchObject({ scaling: [{ minReplicas: 1 }] });
    expect(problemsOf({ ...aws, scaling: scaling(0) })).toMatchObject([
      { key: "scaling", wrong: expect.stringContaining("no whole number from 1 to 500") as string },
    ]);
  });
});

describe("a wrong value is refused, with what would be right:", () => {
  test.each([
    ["replicas", "0", "less than 1", "a whole number from 1 to 64"],
    ["replicas", "-1", "less than 1", "a whole number from 1 to 64"],
    ["replicas", "1.5", "not a whole number", "a whole number from 1 to 64"],
    ["replicas", "two", "not a whole number", "a whole number from 1 to 64"],
    ["replicas", "500", "more than 64", "a whole number from 1 to 64"],
    ["replicas", "9".repeat(400), "more than 64", "a whole number from 1 to 64"],
    ["port", "0", "less than 1", "a whole number from 1 to 65535"],
    ["port", "70000", "more than 65535", "a whole number from 1 to 65535"],
    ["contextSize", "10", "less than 256", "a whole number from 256 to 1048576"],
    ["optimize", "yes", "neither true nor false", "true or false"],
    ["engine", "llama.cpp", "not one of the possible values", "bitnet.cpp or ik_llama.cpp"],
    ["target", "moon", "not one of the possible values", "docker or aws"],
    ["memlock", "lots", "not one of the possible values", "unlimited or inherit"],
    ["bindAddress", "localhost", "not an IP address", "an IP address of this machine"],
    ["modelSha256", "abc", "not in the right form", "the file's SHA-256: 64 hexadecimal digits in lower case"],
    ["extraArgs", "--foo", "not a list", 'a list of llama-server arguments, such as ["--cache-reuse", "256"]'],
    ["extraArgs", '{"a":1}', "not a list", 'a list of llama-server arguments, such as ["--cache-reuse", "256"]'],
    [
      "extraArgs",
      '["--cache-reuse",256]',
      "has an argument that is not text on one line",
      'a list of llama-server arguments, such as ["--cache-reuse", "256"]',
    ],
  ])("%s: %j", (key, value, wrong, right) => {
    expect(problemsOf({ [key]: value })).toEqual([{ key, value, wrong, right }]);
  });

  test.each([
    ["instanceType", "big", "an EC2 instance type, such as c7a.2xlarge"],
    ["zones", "1", "a whole number from 2 to 8"],
    ["spot", "101", "a whole number from 0 to 100"],
    ["egress", "vpn", "nat or endpoints"],
    ["allowedCidrs", '["10.0.0.0"]', 'a list of IPv4 ranges, such as ["203.0.113.0/24"]'],
    ["vpcId", "my-vpc", "the id of a VPC, such as vpc-0123456789abcdef0"],
    ["domain", "https://llm.example.com", "a host name, such as llm.example.com"],
    ["alarmEmail", "ops", "an e-mail address"],
    ["logRetentionDays", "2", "1, 3, 5, 7, 14, 30, 60, 90, 180 or 365"],
    ["updateAmi", "maybe", "true or false"],
  ])("target aws, %s: %j", (key, value, right) => {
    expect(problemsOf({ ...aws, [key]: value })[0]).toMatchObject({ key, value, right });
  });
});

const typesByGroup: Readonly<Record<string, Readonly<Record<string, z.ZodType>>>> = settingGroups;
const groups = Object.entries(typesByGroup).flatMap(([group, settings]) =>
  Object.entries(settings).map(
    ([key, type]) => [group === "aws" ? "aws" : "docker", key, describeSetting(type)] as const,
  ),
);

test.each(groups)("target %s, %s: the documentation says what it means and what a right value is", (_, __, it) => {
  expect(it.meaning).toMatch(/^\S.{15,}\.$/);
  expect(it.right).not.toBe("");
});

const garbage = [
  "{}",
  "[]",
  "[[]]",
  "[1]",
  '["\\n"]',
  "null",
  "[null]",
  "1e400",
  "-0",
  "9".repeat(400),
  "true",
  " ",
  "\n",
  "💥",
];
/** What the schema library says where nobody says anything else. */
const librarySentence = "a sentence of the schema library";
z.config({ localeError: () => librarySentence });

test.each(groups)("target %s, %s: whatever it is given, no sentence of the schema library is shown", (target, key) => {
  expect(z.string().safeParse(1).error?.message).toContain(librarySentence);
  for (const value of garbage) {
    for (const { wrong, right } of problemsOf({ ...(target === "aws" ? aws : {}), [key]: value })) {
      expect(wrong).not.toContain(librarySentence);
      expect(wrong).not.toBe("");
      expect(right).not.toBe("");
    }
  }
});

describe("a key that this stack cannot have:", () => {
  test.each([
    ["replcas", "did you mean replicas?"],
    ["contxtSize", "did you mean contextSize?"],
    ["modelUri", "did you mean modelUrl or model?"],
    ["apiKEY", "did you mean apiKeys?"],
  ])("%s is refused: %s", (key, right) => {
    expect(problemsOf({ [key]: "2" })).toMatchObject([{ key, wrong: "there is no such setting", right }]);
  });

  test.each(["toString", "constructor", "__proto__"])("%s, which every JavaScript object has, is refused", (key) => {
    const values = Object.fromEntries([[key, "2"]]);
    expect(problemsOf(values)).toMatchObject([{ key, wrong: "there is no such setting" }]);
  });

  test("one that is like none is refused with the three nearest, not with all", () => {
    const [problem] = problemsOf({ zzzzzzzzzzzz: "2" });
    expect(problem?.right).toMatch(/^a setting of docs\/configuration\.md; the nearest names are \w+, \w+,? or \w+$/);
  });

  test("one of the other target is refused, not ignored", () => {
    expect(problemsOf({ spot: "50" })).toEqual([
      {
        key: "spot",
        value: "50",
        wrong: "this is a setting of target aws, and this stack's target is docker",
        right: "remove it (pulumi config rm spot), or set target: aws",
      },
    ]);
    expect(problemsOf({ ...aws, replicas: "0" })).toMatchObject([
      { key: "replicas", wrong: "this is a setting of target docker, and this stack's target is aws" },
    ]);
  });

  test("apiKey, which there once was, is refused with what to write instead, and not shown", () => {
    for (const stack of [{}, aws]) {
      const problems = problemsOf({ ...stack, apiKey: "the-old-key" });
      expect(problems).toEqual([
        { key: "apiKey", wrong: "this setting has been replaced", right: 'the key in the list `apiKeys`: ["KEY"]' },
      ]);
    }
  });

  test("its value is shown, unless it is encrypted or may be a secret under a misspelt name", () => {
    expect(problemsOf({ contxtSize: "something" })).toMatchObject([{ value: "something" }]);
    for (const key of ["apikey", "ApiKeyz", "modelTokn", "registryPasword"]) {
      expect(JSON.stringify(problemsOf({ [key]: "something" }))).not.toContain("something");
    }
    expect(JSON.stringify(check({ contxtSize: "something" }, () => true).problems)).not.toContain("something");
  });
});

describe("all mistakes are found at once", () => {
  test("wrong values, unknown keys, another target's keys and settings that do not go together", () => {
    const problems = problemsOf({
      replicas: "0",
      memlock: "x",
      modle: "y",
      spot: "1",
      port: "9000",
      statsPort: "9000",
    });
    expect(problems.map(({ key }) => key)).toEqual(["replicas", "memlock", "modle", "spot", "statsPort"]);
  });

  test("what is right in itself is known, with its type, beside what is wrong", () => {
    const { settings, sound, invalid } = check({ replicas: "0", threads: "2", modelUrl: "a\nb" });
    expect(settings).toBeUndefined();
    expect(sound).toMatchObject({ target: "docker", threads: 2, port: 8088 });
    expect(sound).not.toHaveProperty("replicas");
    expect([...invalid].toSorted()).toEqual(["modelUrl", "replicas"]);
  });

  test("a setting that is wrong in itself, and should not be there at all, is reported once", () => {
    const subnets = '["subnet-0a","subnet-0b"]';
    const vpc = { ...aws, vpcId: "vpc-0123", publicSubnetIds: subnets, privateSubnetIds: subnets };
    expect(problemsOf({ ...vpc, zones: "99", egress: "x", certificateArn: "y", domain: "" })).toMatchObject([
      { key: "zones", wrong: expect.stringContaining("vpcId names an existing one") as string },
      { key: "egress", wrong: expect.stringContaining("vpcId names an existing one") as string },
      { key: "certificateArn", wrong: expect.stringContaining("a host name") as string },
    ]);
  });

  test("with a wrong target, the settings of both targets are known, and what every target has is checked", () => {
    expect(problemsOf({ target: "moon", replicas: "2", spot: "5", parallel: "x", nonsense: "1" })).toMatchObject([
      { key: "target" },
      { key: "parallel" },
      { key: "nonsense" },
    ]);
  });
});

describe("API keys", () => {
  test("are a list, or have names, for both targets", () => {
    for (const stack of [{}, aws]) {
      const keys = (value: unknown) => settingsOf({ ...stack, apiKeys: JSON.stringify(value) })?.apiKeys;
      expect(keys(["some-key-0123", "another-key-0123"])).toEqual([
        { name: "key-1", key: "some-key-0123", limits: {} },
        { name: "key-2", key: "another-key-0123", limits: {} },
      ]);
      const limits = { concurrentRequests: 2, requestsPerMinute: 60, tokensPerMinute: 1000 };
      expect(keys({ web: "some-key-0123", batch: { key: "another-key-0123", ...limits } })).toEqual([
        { name: "web", key: "some-key-0123", limits: {} },
        { name: "batch", key: "another-key-0123", limits },
      ]);
    }
  });

  test.each([
    ...['["short","with a space in it"]', '["secret-one\\nsecret-two"]', "not-a-list-with-a-space in it"],
    ...['{"a name": "secret-one"}', '{"web": {"key": "secret-one", "requests": 5}}', '{"web": {"key": "short"}}'],
    ...['{"web": {"key": "secret-one", "requestsPerMinute": 0}}', '{"web": 5}', '"secret-one"'],
  ])("are refused without being shown: %s", (apiKeys) => {
    const problems = problemsOf({ apiKeys });
    expect(problems).toMatchObject([{ key: "apiKeys" }]);
    expect(problems[0]).not.toHaveProperty("value");
    expect(JSON.stringify(problems)).not.toMatch(/short|with a space|secret-one/);
  });

  test.each([
    ['["short"]', "has a key that is not in the right form"],
    ['{"web": "short"}', "has a key that is not in the right form"],
    ['{"a name": "secret-one"}', "has a name that is not of up to 64 letters, digits, dots and dashes"],
    ['{"web": {"key": "secret-one", "requests": 5}}', "has a key with limits that are none"],
    ["KEY", "neither a list nor an object of keys"],
    ["5", "neither a list nor an object of keys"],
  ])("%s: what is wrong is said", (apiKeys, wrong) => {
    expect(problemsOf({ apiKeys })).toMatchObject([{ key: "apiKeys", wrong }]);
  });

  test("of more than fifty are refused", () => {
    const keys = (count: number) => JSON.stringify(Array.from({ length: count }, (_, index) => `some-key-${index}`));
    const problems = problemsOf({ apiKeys: keys(51) });
    expect(problems).toMatchObject([{ key: "apiKeys", right: "at most 50" }]);
    expect(JSON.stringify(problems)).not.toContain("some-key");
    expect(settingsOf({ apiKeys: keys(50) })?.apiKeys).toHaveLength(50);
  });
});

describe("settings that do not go together are refused:", () => {
  test("a registry's user name without its password", () => {
    expect(problemsOf({ registry: "registry.example.com/a/b", registryUsername: "me" })).toMatchObject([
      { key: "registryPassword" },
    ]);
  });

  test("more requests at once than the engine answers correctly", () => {
    expect(problemsOf({ engine: "ik_llama.cpp", parallel: "9" })).toEqual([
      {
        key: "parallel",
        value: "9",
        wrong: "ik_llama.cpp is known to answer correctly only up to 8 at once",
        right: "at most 8; for more requests at once, more replicas",
      },
    ]);
    expect(problemsOf({ parallel: "4" })).toEqual([]);
    expect(problemsOf({ engine: "ik_llama.cpp", parallel: "8" })).toEqual([]);
  });

  test.each([
    "--api-key=abcdefgh",
    "--api_key",
    "--ctx_size",
    "-tb",
    "--threads-batch",
    "-ub",
    "-mu",
    "--cache_ram",
    "-ctk",
    "-no-fa",
  ])("%s, which the server's entrypoint sets itself, in extraArgs", (argument) => {
    const [problem] = problemsOf({ extraArgs: JSON.stringify(["--verbose", argument]) });
    expect(problem).toMatchObject({
      key: "extraArgs",
      wrong: `the server's entrypoint sets ${argument.replace("=abcdefgh", "")} itself`,
    });
  });

  test("but other arguments of llama-server are taken as they are", () => {
    const extraArgs = ["--chat_template", "chatml", "-v"];
    expect(settingsOf({ extraArgs: JSON.stringify(extraArgs) })?.extraArgs).toEqual(extraArgs);
  });

  test("target aws without a domain, unless plain HTTP is asked for", () => {
    expect(problemsOf({ target: "aws" })).toMatchObject([{ key: "domain" }]);
    expect(settingsOf(aws)?.target).toBe("aws");
  });

  test.each(["hostedZone", "certificateArn"])("%s without a domain", (key) => {
    const value = { hostedZone: "example.com", certificateArn: "arn:aws:acm:eu-central-1:123456789012:certificate/1" };
    expect(problemsOf({ ...aws, [key]: value[key as keyof typeof value] })).toMatchObject([{ key }]);
  });

  test("IPv6 ranges, as the load balancer has IPv4 addresses alone", () => {
    expect(problemsOf({ ...aws, allowedCidrs: '["2001:db8::/32"]' })).toMatchObject([
      { key: "allowedCidrs", wrong: "has an entry that is not an IPv4 range" },
    ]);
  });

  test.each([["203.0.113.5/24", "203.0.113.0/24"]])(
    "a range that is not named by its first address, %s; %s is named",
    (cidr, network) => {
      expect(problemsOf({ ...aws, allowedCidrs: JSON.stringify(["198.51.100.0/24", cidr]) })).toMatchObject([
        { key: "allowedCidrs", wrong: `${cidr} is an address in a range, and the range is ${network}` },
      ]);
    },
  );

  test("more ranges than a security group takes at its ports", () => {
    const ranges = (count: number, form: (index: number) => string) =>
      JSON.stringify(Array.from({ length: count }, (_, index) => form(index)));
    const v4 = (count: number) => ranges(count, (index) => `10.0.${index}.0/24`);
    const right = (count: number) => `at most ${count} ranges; merge some into larger ones`;
    expect(problemsOf({ ...aws, allowedCidrs: v4(61) })).toMatchObject([{ right: right(60) }]);
    expect(problemsOf({ target: "aws", domain: "llm.example.com", allowedCidrs: v4(31) })).toMatchObject([
      { key: "allowedCidrs", right: right(30) },
    ]);
    expect(settingsOf({ ...aws, allowedCidrs: v4(60) })).toMatchObject({ allowedCidrs: JSON.parse(v4(60)) as unknown });
  });

  const schedules = (...list: object[]) => problemsOf({ ...aws, scaling: JSON.stringify(list) });
  const night = { cron: "0 19 ? * MON-FRI *", minReplicas: 1, maxReplicas: 2 };

  test.each(["0 19 * * *", "0 19 * * MON-FRI *", "0 19 ? * ? *", "at seven", "0 19 ? * MON-FRI *\nx"])(
    "a schedule that is no cron expression of AWS's form: %s",
    (cron) => {
      expect(schedules(night)).toEqual([]);
      expect(schedules({ ...night, cron })).toMatchObject([
        { key: "scaling", wrong: expect.stringContaining("cron is no expression of six fields") as string },
      ]);
    },
  );

  test("a schedule whose minReplicas is more than its maxReplicas, and one that lacks a field", () => {
    expect(schedules({ ...night, minReplicas: 3 })).toMatchObject([
      { key: "scaling", wrong: 'at "0 19 ? * MON-FRI *" minReplicas is 3, more than maxReplicas, 2' },
    ]);
    expect(schedules({ cron: night.cron })).toMatchObject([{ key: "scaling" }]);
  });

  test("a load balancer with private addresses only, whose name's certificate would be made by a public record", () => {
    const internal = { target: "aws", internal: "true", domain: "llm.example.com" };
    expect(problemsOf(internal)).toMatchObject([
      { key: "internal", right: expect.stringContaining("certificateArn") as string },
    ]);
    const certificateArn = "arn:aws:acm:eu-central-1:123456789012:certificate/1";
    expect(problemsOf({ ...internal, certificateArn })).toEqual([]);
  });
});
