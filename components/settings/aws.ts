import { z } from "zod";
import { refuseTag } from "./imageDigest.ts";
import { isVpcCidr, networkOf } from "./ipRanges.ts";
import type { Refuse } from "./shared.ts";
import { sharedSettings } from "./shared.ts";
import { entry, flag, integer, json, list, oneOf, setting, text } from "./types.ts";

/** The most zones that a VPC's range is divided among; each needs two subnets, of a sixteenth of the range each. */
export const maxZones = 8;

/** AWS's quota for a security group: docs.aws.amazon.com, amazon-vpc-limits. */
const maxRules = 60;

/** EventBridge's and Application Auto Scaling's form: docs.aws.amazon.com, "Cron expressions reference". */
const cronFields = [
  /^[\d*,/-]+$/,
  /^[\d*,/-]+$/,
  /^[\d*,/?LW-]+$/,
  /^[\dA-Z*,/-]+$/,
  /^[\dA-Z*,/?L#-]+$/,
  /^[\d*,/-]+$/,
];

function isCron(text: string): boolean {
  const fields = text.split(" ");
  const right =
    fields.length === cronFields.length && cronFields.every((form, index) => form.test(fields[index] ?? ""));
  return right && (fields[2] === "?") !== (fields[4] === "?");
}

/** At least 1: without a task there is no load, so nothing would start one again. */
const wrongReplicas = "has an entry whose replicas are no whole number from 1 to 500";
const replicas = z.int(wrongReplicas).min(1, wrongReplicas).max(500, wrongReplicas);
const schedule = z.strictObject(
  {
    cron: z
      .string()
      .refine(isCron, "has an entry whose cron is no expression of six fields, one of the two days being ?"),
    minReplicas: replicas,
    maxReplicas: replicas,
  },
  { error: "has an entry that is not { cron, minReplicas, maxReplicas }" },
);

const hostName = /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/;
const subnetId = () => entry(/^subnet-[0-9a-f]+$/, "has an entry that is not a subnet's id");

/** The settings of target aws only. */
export const awsOnly = {
  instanceType: setting(
    text(/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/, "an EC2 instance type, such as c7a.2xlarge").default("c7a.2xlarge"),
    "The EC2 instance type of every replica. The image is compiled for its CPU. c7a.2xlarge = 8 cores, 16 GiB, about $300 a month.",
  ),
  image: setting(
    z
      .string()
      .superRefine(refuseTag)
      .describe("an image by its digest, such as ghcr.io/example/bitnet-server@sha256:DIGEST")
      .optional(),
    "A server image that was built elsewhere, from docker/server, for the instances' CPU and with this stack's model. " +
      "It is neither built nor pushed here. Its registry is public, or ECR.",
  ),
  failOnCritical: setting(
    flag().default(false),
    "true fails the update before the rollout if ECR's scan finds a CRITICAL vulnerability in a pushed image. false only warns.",
  ),
  minReplicas: setting(
    integer(1, 500).default(1),
    "Replicas that always run, each on an instance of its own. Two or more survive the loss of a zone.",
  ),
  maxReplicas: setting(
    integer(1, 500).default(4),
    "Replicas under the highest load. During a rollout there can be half as many again.",
  ),
  scaling: setting(
    json(z.array(schedule, { error: "not a list" }))
      .describe('a list such as [{"cron": "0 19 ? * MON-FRI *", "minReplicas": 1, "maxReplicas": 2}]')
      .default([]),
    "Scheduled limits, for example for cheaper nights. cron has six fields (minute, hour, day of month, month, day of week, year; UTC), " +
      "one of the two days being ?. Until the first schedule, minReplicas and maxReplicas apply.",
  ),
  drainTimeout: setting(
    integer(0, 3600).default(120),
    "Seconds that a leaving replica has to finish its requests; longer ones are cut off. Every replacement, scale-in and `destroy` waits this long, while the instance costs money.",
  ),
  spot: setting(
    integer(0, 100).default(0),
    "Percent of the replicas above minReplicas on spot instances, which cost about a third and can be reclaimed at two minutes' notice.",
  ),
  updateAmi: setting(
    flag().default(false),
    "true moves to the newest ECS-optimised Amazon Linux 2023 in this update, which replaces all instances. false keeps the current one.",
  ),
  maxInstanceAgeDays: setting(
    integer(1, 365).optional(),
    "Days after which an instance is replaced, without an update, by one with the newest Amazon Linux. If unset, never.",
  ),
  zones: setting(integer(2, maxZones).default(2), "Availability zones that the stack's own VPC spans."),
  vpcCidr: setting(
    z
      .string()
      .refine(isVpcCidr, "not a private IPv4 range of /16 to /24, by its first address")
      .describe("an IPv4 range of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, such as 10.64.0.0/16")
      .default("10.64.0.0/16"),
    "The private address range of the stack's own VPC.",
  ),
  egress: setting(
    oneOf("nat", "endpoints").default("nat"),
    "How instances reach AWS. nat = a NAT gateway in each zone ($33 a month each, plus $0.045 a GB); " +
      "endpoints = VPC endpoints ($7.30 a month for each of nine in each zone, plus $0.01 a GB), without access to the internet.",
  ),
  vpcId: setting(
    text(/^vpc-[0-9a-f]+$/, "the id of a VPC, such as vpc-0123456789abcdef0").optional(),
    "An existing VPC instead of the stack's own. Its private subnets must reach ECS, ECR, S3, CloudWatch Logs, Secrets Manager and SSM.",
  ),
  publicSubnetIds: setting(
    list(subnetId(), "a list of subnets of vpcId that reach an internet gateway, two or more").default([]),
    "The existing VPC's subnets for the load balancer, in two zones or more; not needed if it is internal.",
  ),
  privateSubnetIds: setting(
    list(subnetId(), "a list of subnets of vpcId for the instances, two or more").default([]),
    "The existing VPC's subnets for the instances, in two zones or more.",
  ),
  allowedCidrs: setting(
    list(
      z.cidrv4({ error: "has an entry that is not an IPv4 range", abort: true }).superRefine(refuseHostBits),
      'a list of IPv4 ranges, such as ["203.0.113.0/24"]',
    ).default(["0.0.0.0/0"]),
    "The addresses that may reach the load balancer: up to 30 ranges with a domain, 60 without. " +
      "It has no IPv6 address, so IPv6 ranges are refused. " +
      "Include the machine that runs `pulumi up`, for its smoke test.",
  ),
  domain: setting(
    text(hostName, "a host name, such as llm.example.com").optional(),
    "The service's host name. The service then uses HTTPS: the certificate is validated, and the DNS record created, in the name's Route 53 zone.",
  ),
  hostedZone: setting(
    text(hostName, "a Route 53 zone's name, such as example.com").optional(),
    "The public Route 53 zone of domain. If unset, the zone named like domain or its parent; with certificateArn, no DNS record is created.",
  ),
  certificateArn: setting(
    text(
      /^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[0-9a-f-]+$/,
      "the ARN of an ACM certificate, arn:aws:acm:REGION:ACCOUNT:certificate/ID",
    ).optional(),
    "An existing ACM certificate for domain, in the stack's region.",
  ),
  allowPlainHttp: setting(
    flag().default(false),
    "true serves plain HTTP if there is no domain. API keys, prompts and answers then cross the network in clear.",
  ),
  internal: setting(
    flag().default(false),
    "true gives the load balancer private addresses only. The machine that runs `pulumi up` must reach them, for its smoke test.",
  ),
  rateLimit: setting(
    integer(10, 2_000_000_000).optional(),
    "Requests that one address may send in five minutes; AWS WAF answers further requests with 403 ($6 a month, $0.60 a million requests). If unset, any number.",
  ),
  accessLogsBucket: setting(
    text(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "the name of an S3 bucket").optional(),
    "An existing S3 bucket of the region, whose policy lets the load balancer write its access logs. If unset, none are written.",
  ),
  permissionsBoundary: setting(
    text(/^arn:aws[a-z-]*:iam::(\d{12}|aws):policy\/\S+$/, "the ARN of an IAM policy").optional(),
    "A permissions boundary for every role of the stack, if your organisation requires one.",
  ),
  rolePath: setting(
    text(/^\/([!-~]+\/)?$/, "/ or a path such as /bitnet/").default("/"),
    "The IAM path of the stack's roles.",
  ),
  deletionProtection: setting(
    flag().default(false),
    "true makes AWS refuse to delete the load balancer. Set it to false and run `up` before `destroy`.",
  ),
  alarmEmail: setting(
    z.email({ error: "not an e-mail address" }).describe("an e-mail address").optional(),
    "Where alarms are sent. The address must confirm AWS's e-mail once.",
  ),
  // The values that CloudWatch accepts: docs.aws.amazon.com, API_PutRetentionPolicy.
  logRetentionDays: setting(
    z
      .enum(["1", "3", "5", "7", "14", "30", "60", "90", "180", "365"], { error: "not one of the possible values" })
      .transform(Number)
      .describe("1, 3, 5, 7, 14, 30, 60, 90, 180 or 365")
      .default(30),
    "Days to keep logs.",
  ),
};

export const awsSchema = z.strictObject({ target: z.literal("aws"), ...sharedSettings, ...awsOnly });
export type AwsSettings = z.output<typeof awsSchema>;

/**
 * Checks that need several settings; components/aws/account.ts checks what only AWS knows. Any setting may be missing:
 * an invalid one has been reported already.
 */
export function checkAws(
  settings: Partial<AwsSettings>,
  isSet: (key: string) => boolean,
  refuse: Refuse<keyof AwsSettings>,
): void {
  const { minReplicas, maxReplicas, allowPlainHttp } = settings;
  if (minReplicas !== undefined && maxReplicas !== undefined && minReplicas > maxReplicas) {
    refuse("minReplicas", `it is more than maxReplicas, ${maxReplicas}`, `at most ${maxReplicas}`);
  }
  checkSchedules(settings, refuse);
  checkBuild(isSet, refuse);
  if (settings.internal === true && isSet("domain") && !isSet("certificateArn")) {
    const wrong = "a certificate is made by a public DNS record, and the name would be public";
    refuse("internal", wrong, "a certificateArn as well; and a private hostedZone, or a DNS record made by hand");
  }
  checkVpc(settings, isSet, refuse);
  checkRules(settings, isSet("domain"), refuse);
  for (const key of ["certificateArn", "hostedZone"] as const) {
    if (isSet(key) && !isSet("domain")) {
      refuse(key, "it belongs to a host name, and none is set", "that name in `domain`");
    }
  }
  if (!isSet("domain") && allowPlainHttp === false) {
    const wrong = "without a domain there is no HTTPS, and API keys would cross the network in clear";
    refuse("domain", wrong, "a name in a Route 53 zone of this account; or allowPlainHttp: true, to try it out");
  }
}

/** Settings that change a build are meaningless if nothing is built. */
function checkBuild(isSet: (key: string) => boolean, refuse: Refuse<keyof AwsSettings>): void {
  if (!isSet("image")) return;
  for (const key of ["engineRepo", "engineRef", "optimize", "cpuTarget"] as const) {
    if (!isSet(key)) continue;
    const wrong = "it is about building the server's image, and `image` names one that is built";
    refuse(key, wrong, "leave it out, or leave out `image`");
  }
}

function checkSchedules({ scaling = [] }: Partial<AwsSettings>, refuse: Refuse<keyof AwsSettings>): void {
  for (const { cron, minReplicas, maxReplicas } of scaling) {
    if (minReplicas <= maxReplicas) continue;
    const wrong = `at "${cron}" minReplicas is ${minReplicas}, more than maxReplicas, ${maxReplicas}`;
    refuse("scaling", wrong, "minReplicas of at most maxReplicas in each entry");
  }
}

function checkVpc(
  settings: Partial<AwsSettings>,
  isSet: (key: string) => boolean,
  refuse: Refuse<keyof AwsSettings>,
): void {
  const ofOwnVpc = ["zones", "vpcCidr", "egress"] as const;
  for (const key of ofOwnVpc) {
    if (isSet(key) && isSet("vpcId")) {
      refuse(
        key,
        "it is about a VPC of the stack's own, and vpcId names an existing one",
        "leave it out, or leave out `vpcId`",
      );
    }
  }
  for (const key of ["publicSubnetIds", "privateSubnetIds"] as const) {
    const { [key]: ids } = settings;
    if (ids === undefined) continue;
    if (!isSet("vpcId") && ids.length > 0) {
      refuse(key, "only an existing VPC's subnets can be named", "the VPC's id in `vpcId` as well");
    } else if (isSet("vpcId") && ids.length < 2 && !(key === "publicSubnetIds" && settings.internal === true)) {
      refuse(key, "a load balancer needs two zones", "subnets in at least two zones of that VPC");
    }
  }
}

function checkRules(
  { allowedCidrs = [] }: Partial<AwsSettings>,
  hasDomain: boolean,
  refuse: Refuse<keyof AwsSettings>,
): void {
  const ports = hasDomain ? 2 : 1;
  if (allowedCidrs.length * ports > maxRules) {
    const wrong = `${allowedCidrs.length} ranges at ${ports} ${ports === 1 ? "port" : "ports"} exceed the ${maxRules} rules of a security group`;
    refuse("allowedCidrs", wrong, `at most ${maxRules / ports} ranges; merge some into larger ones`);
  }
}

/** AWS's provider accepts a range only if it is written with its first address. */
function refuseHostBits(cidr: string, context: z.RefinementCtx): void {
  const network = networkOf(cidr);
  if (network !== cidr) context.addIssue(`${cidr} is an address in a range, and the range is ${network}`);
}
