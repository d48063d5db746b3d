import * as pulumi from "@pulumi/pulumi";
import { closest, distance } from "fastest-levenshtein";
import { z } from "zod";
import type { Problem } from "../errors.ts";
import { UserError } from "../errors.ts";
import { isVpcCidr, networkOf } from "./ipRanges.ts";

/** The most zones that a VPC's range is shared out among; each needs two subnets, of a sixteenth of the range each. */
export const maxZones = 8;

/** RFC 6750, section 2.1: what may stand after "Bearer ". */
const apiKey = /^[A-Za-z0-9._~+/-]{8,512}=*$/;
const apiKeyForm = "8 to 512 letters, digits and . _ ~ + / -, without spaces or line breaks";

/**
 * Everything that a user can set, as `bitnet-server:<key>` in Pulumi.<stack>.yaml. Pulumi.yaml declares the same keys
 * with their defaults and descriptions (a unit test holds the two together); it leaves types to this schema, because
 * Pulumi reports a wrong type without the value and stops at the first. Each description says what a right value is.
 */
const schema = z.strictObject({
  target: oneOf("docker", "aws"),
  model: text(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "the name of a model in components/model/catalogue.ts"),
  modelUrl: text(/^[^\r\n]+$/, "an http(s) URL, or the path of a GGUF file on this machine").optional(),
  modelSha256: text(/^[0-9a-f]{64}$/, "the file's SHA-256: 64 hexadecimal digits in lower case").optional(),
  modelAlias: text(
    /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$/,
    "a name of up to 100 letters, digits, dots, dashes and slashes",
  ).optional(),
  modelToken: text(/^[A-Za-z0-9._~+/=-]+$/, "an access token: letters, digits and . _ ~ + / = -").optional(),
  optimize: flag(),
  engine: oneOf("bitnet.cpp", "ik_llama.cpp"),
  engineRepo: text(/^\S+$/, "a git URL, or the path of a source tarball on this machine").optional(),
  engineRef: text(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, "a commit, tag or branch of engineRepo").optional(),
  cpuTarget: text(/^[a-z0-9][a-z0-9._+-]*$/, "native, or a name that the compiler's -march knows, such as x86-64-v3"),
  baseImage: text(/^[a-z0-9][A-Za-z0-9._:/@-]*$/, "a Debian 13 image, such as debian:trixie-slim"),
  replicas: integer(1, 64),
  contextSize: integer(256, 1_048_576).optional(),
  parallel: integer(1, 64),
  threads: integer(1, 1024).optional(),
  memlock: oneOf("unlimited", "inherit").optional(),
  port: integer(1, 65_535),
  bindAddress: z.union([z.ipv4(), z.ipv6()], { error: "not an IP address" }).describe("an IP address of this machine"),
  statsPort: integer(1, 65_535),
  apiKey: text(apiKey, apiKeyForm).optional(),
  registry: text(
    /^(local|[A-Za-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)+)$/,
    "local, or host/repository of a registry, such as registry.example.com/team/bitnet-server",
  ),
  registryPort: integer(1, 65_535),
  registryUsername: text(/^\S+$/, "the registry's user name").optional(),
  registryPassword: text(/^[^\r\n]+$/, "the registry's password or token, on one line").optional(),
  smokePrompt: text(/\S/, "a question of at least one character"),
  smokeAnswer: text(/\S/, "the text that the answer must be, to the letter").optional(),
  extraArgs: list(
    z.string().regex(/^[^\r\n]*$/, "has an argument with a line break"),
    'a list of llama-server arguments, such as ["--cache-reuse", "256"]',
  ),
  // From here on: target aws.
  instanceType: text(/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/, "an EC2 instance type, such as c7a.2xlarge"),
  minReplicas: integer(1, 500),
  maxReplicas: integer(1, 500),
  spot: integer(0, 100),
  updateAmi: flag(),
  apiKeys: list(z.string().regex(apiKey, "has a key that is not of the right form"), `a list of keys of ${apiKeyForm}`),
  zones: integer(2, maxZones),
  vpcCidr: z
    .string()
    .refine(isVpcCidr, "not a private IPv4 range of /16 to /24, by its first address")
    .describe("an IPv4 range of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, such as 10.64.0.0/16"),
  egress: oneOf("nat", "endpoints"),
  vpcId: text(/^vpc-[0-9a-f]+$/, "the id of a VPC, such as vpc-0123456789abcdef0").optional(),
  publicSubnetIds: list(subnetId(), "a list of subnets of vpcId that reach an internet gateway, two or more"),
  privateSubnetIds: list(subnetId(), "a list of subnets of vpcId for the instances, two or more"),
  allowedCidrs: list(
    z.union([z.cidrv4(), z.cidrv6()], { error: "has an entry that is not an IP range" }).superRefine(refuseHostBits),
    'a list of IP ranges, such as ["203.0.113.0/24"]',
  ),
  domain: text(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/, "a host name, such as llm.example.com").optional(),
  hostedZone: text(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/, "a Route 53 zone's name: example.com").optional(),
  certificateArn: text(
    /^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[0-9a-f-]+$/,
    "the ARN of an ACM certificate, arn:aws:acm:REGION:ACCOUNT:certificate/ID",
  ).optional(),
  allowPlainHttp: flag(),
  deletionProtection: flag(),
  alarmEmail: z.email({ error: "not an e-mail address" }).describe("an e-mail address").optional(),
  // What CloudWatch takes: docs.aws.amazon.com, API_PutRetentionPolicy.
  logRetentionDays: z
    .enum(["1", "3", "5", "7", "14", "30", "60", "90", "180", "365"], { error: "not one of the possible values" })
    .transform(Number)
    .describe("1, 3, 5, 7, 14, 30, 60, 90, 180 or 365"),
});

/** The checked settings. A key that is optional and was not set is absent. */
export type Settings = z.output<typeof schema>;
export type SettingKey = keyof Settings;

/** These never appear in a message; whoever hands one on marks it as a Pulumi secret. */
const secretKeys: ReadonlySet<string> = new Set<SettingKey>(["apiKey", "apiKeys", "modelToken", "registryPassword"]);

/** HAProxy's lines have 64 words at most (its MAX_LINE_ARGS), and the one with the keys has others, too. */
const maxApiKeys = 50;

/** AWS's quota for a security group, of each version of IP: docs.aws.amazon.com, amazon-vpc-limits. */
const maxRules = 60;

/**
 * llama-server arguments that the entrypoint sets itself, that would put a secret on a command line, or that would have
 * it serve another model, use more memory than was counted, or compute with more threads than it has cores.
 */
const reservedArgs = [
  ...[
    "-m",
    "--model",
    "-mu",
    "--model-url",
    "-hfr",
    "--hf-repo",
    "-hff",
    "--hf-file",
    "-hft",
    "--hf-token",
    "-a",
    "--alias",
  ],
  ...["--host", "--port", "-c", "--ctx-size", "-np", "--parallel", "-t", "--threads", "-tb", "--threads-batch"],
  ...["--threads-http", "-b", "--batch-size", "-ub", "--ubatch-size", "-cram", "--cache-ram", "--mlock", "--no-mmap"],
  ...["--api-key", "--api-key-file"],
];

/** An argument's name as llama-server understands it: with _ for -, too, and here without "=value". */
function argumentName(argument: string): string {
  const [name = ""] = argument.split("=", 1);
  return name.startsWith("--") ? name.replaceAll("_", "-") : name;
}

/** Every key that can be set. */
export const settingKeys = Object.keys(schema.shape) as readonly SettingKey[];

/** Reads the stack's configuration: the one place that does. */
export function readSettings(): Settings {
  const namespace = `${pulumi.getProject()}:`;
  const own = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(namespace));
  const values = Object.fromEntries(own.map(([key, value]) => [key.slice(namespace.length), value]));
  // The SDK exports this, but leaves it out of its types.
  const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret: (key: string) => boolean };
  return parseSettings(values, (key) => isConfigSecret(`${namespace}${key}`));
}

/**
 * Checks a stack's configuration as a whole.
 * @param values what the stack and Pulumi.yaml's defaults say, by key without the namespace; "" means not set
 * @param isSecret whether the stack has a key's value encrypted: then no message shows it
 * @throws UserError with every mistake that was found
 */
export function parseSettings(
  values: Readonly<Record<string, string>>,
  isSecret: (key: string) => boolean = () => false,
): Settings {
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
  const shown = Object.fromEntries(Object.entries(given).filter(([key]) => !secretKeys.has(key) && !isSecret(key)));
  const result = schema.safeParse(given);
  const problems = result.success
    ? checkTogether(result.data, shown)
    : result.error.issues.flatMap((issue) => toProblems(issue, given, shown));
  if (!result.success || problems.length > 0) {
    throw new UserError(...problems);
  }
  return result.data;
}

/** Mistakes that only two settings make together. */
function checkTogether(settings: Settings, shown: Readonly<Record<string, string>>): Problem[] {
  const problems: Problem[] = [];
  const refuse = (key: SettingKey, wrong: string, right: string) => {
    problems.push({ key, value: shown[key], wrong, right });
  };

  const ports = { port: settings.port, statsPort: settings.statsPort, registryPort: settings.registryPort };
  for (const [key, port] of Object.entries(ports)) {
    const twin = Object.entries(ports).find(([other, its]) => other < key && its === port);
    if (twin !== undefined) {
      refuse(key as SettingKey, `${twin[0]} is the same port`, "a port of its own for each");
    }
  }
  if (settings.registry === "local" && settings.registryUsername !== undefined) {
    refuse("registryUsername", "the local registry has no users", "nothing, or an external registry in `registry`");
  }
  if ((settings.registryUsername === undefined) !== (settings.registryPassword === undefined)) {
    const missing = settings.registryUsername === undefined ? "registryUsername" : "registryPassword";
    refuse(missing, "a user name and a password belong together, and only one of them is set", "set both or neither");
  }
  if (settings.target === "aws") checkAws(settings, refuse);
  else if (settings.apiKeys.length > 0) refuse("apiKeys", "target docker has one key", "the key in `apiKey`");
  const reserved = settings.extraArgs.filter((argument) => reservedArgs.includes(argumentName(argument)));
  if (reserved.length > 0) {
    const right =
      "other arguments; model, modelAlias, contextSize, parallel, threads, apiKey are settings of their own";
    refuse("extraArgs", `${reserved.join(", ")} is for the server's entrypoint to set`, right);
  }
  return problems;
}

/** Mistakes that settings of the aws target make together; what only AWS knows is in components/aws/account.ts. */
function checkAws(settings: Settings, refuse: (key: SettingKey, wrong: string, right: string) => void): void {
  const { minReplicas, maxReplicas, vpcId, publicSubnetIds, privateSubnetIds, domain, certificateArn } = settings;
  if (settings.apiKey !== undefined) {
    refuse("apiKey", "target aws has a list of keys", 'the key in `apiKeys`, as ["KEY"]');
  }
  if (settings.registry !== "local") {
    refuse("registry", "target aws makes an ECR repository of its own", "nothing");
  }
  if (minReplicas > maxReplicas) {
    refuse("minReplicas", `it is more than maxReplicas, ${maxReplicas}`, `at most ${maxReplicas}`);
  }
  for (const [key, ids] of Object.entries({ publicSubnetIds, privateSubnetIds })) {
    if (vpcId === undefined && ids.length > 0) {
      refuse(key as SettingKey, "subnets are only taken from an existing VPC", "the VPC's id in `vpcId`, too");
    } else if (vpcId !== undefined && ids.length < 2) {
      refuse(key as SettingKey, "a load balancer needs two zones", "subnets in at least two zones of that VPC");
    }
  }
  if (certificateArn !== undefined && domain === undefined) {
    refuse("certificateArn", "a certificate is for a name, and there is none", "that name in `domain`");
  }
  if (settings.apiKeys.length > maxApiKeys) {
    refuse(
      "apiKeys",
      `there are ${settings.apiKeys.length}, more than HAProxy takes in a line`,
      `at most ${maxApiKeys}`,
    );
  }
  const ports = domain === undefined ? 1 : 2;
  for (const version of ["IPv4", "IPv6"]) {
    const ranges = settings.allowedCidrs.filter((cidr) => cidr.includes(":") === (version === "IPv6"));
    if (ranges.length * ports > maxRules) {
      const wrong = `${ranges.length} ranges of ${version} at ${ports} ${ports === 1 ? "port" : "ports"} are more rules than the ${maxRules} of a security group`;
      refuse("allowedCidrs", wrong, `at most ${maxRules / ports} of ${version}, larger ones`);
    }
  }
  if (domain === undefined && !settings.allowPlainHttp) {
    const wrong = "without a domain there is no HTTPS, and API keys would cross the network in clear";
    refuse("domain", wrong, "a name in a Route 53 zone of this account; or allowPlainHttp: true, to try it out");
  }
}

function toProblems(
  issue: z.core.$ZodIssue,
  given: Readonly<Record<string, string>>,
  shown: Readonly<Record<string, string>>,
): Problem[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ ...unknownKey(key), value: shown[key] }));
  }
  const key = String(issue.path[0]) as SettingKey;
  const wrong = given[key] === undefined ? "it is not set" : issue.message;
  return [{ key, value: shown[key], wrong, right: rightValueOf(key) }];
}

function rightValueOf(key: SettingKey): string {
  const type = schema.shape[key];
  return (type instanceof z.ZodOptional ? type.unwrap() : type).description ?? "";
}

function unknownKey(key: string): Problem {
  const nearest = closest(key, [...settingKeys]);
  const right =
    distance(key, nearest) <= Math.ceil(key.length / 3)
      ? `did you mean ${nearest}?`
      : `one of the keys that Pulumi.yaml declares: ${settingKeys.join(", ")}`;
  return { key, wrong: "there is no such setting", right };
}

function text(pattern: RegExp, right: string) {
  return z.string().regex(pattern, "not of the right form").describe(right);
}

function oneOf<const T extends readonly [string, ...string[]]>(...values: T) {
  return z.enum(values, { error: "not one of the possible values" }).describe(values.join(" or "));
}

function flag() {
  return z
    .enum(["true", "false"], { error: "neither true nor false" })
    .transform((value) => value === "true")
    .describe("true or false");
}

/** AWS's provider takes a range by its first address only. */
function refuseHostBits(cidr: string, context: z.RefinementCtx): void {
  const network = networkOf(cidr);
  if (network !== cidr) context.addIssue(`${cidr} is an address in a range, and the range is ${network}`);
}

function subnetId() {
  return z.string().regex(/^subnet-[0-9a-f]+$/, "has an entry that is not a subnet's id");
}

function list<T extends z.ZodType<string, string>>(entry: T, right: string) {
  return z.string().transform(parseList).pipe(z.array(entry)).describe(right);
}

function integer(minimum: number, maximum: number) {
  return z
    .string()
    .regex(/^[+-]?\d+$/, "not a whole number")
    .transform(Number)
    .pipe(z.number().min(minimum, `less than ${minimum}`).max(maximum, `more than ${maximum}`))
    .describe(`a whole number from ${minimum} to ${maximum}`);
}

/** Pulumi hands a list over as JSON. */
function parseList(value: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(value);
  } catch {
    context.addIssue("not a list");
    return z.NEVER;
  }
}

/** Whether an address is reached from this machine only. */
export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
