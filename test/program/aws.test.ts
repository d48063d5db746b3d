import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { parse } from "yaml";
import * as pulumi from "@pulumi/pulumi";
import { alarmCount } from "../../components/aws/monitoringBodies.ts";
import type { Statement } from "../../components/aws/policies.ts";
import { wildcardReasons } from "../../components/aws/policies.ts";
import type { Answers } from "./aws.ts";
import { awsAnswers, awsError } from "./aws.ts";
import type { Run, Surroundings } from "./program.ts";
import { defaultStack, ofType, runProgram } from "./program.ts";

const plain = { target: "aws", allowPlainHttp: "true", allowedCidrs: '["203.0.113.0/24"]' };
const secured = { target: "aws", domain: "llm.example.com" };
const certificateArn = `arn:aws:acm:eu-central-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef`;
const subnets = (...zones: string[]) => JSON.stringify(zones.map((_, index) => `subnet-${index}${"abc"[index] ?? ""}`));

/** Every way to set a stack up. */
const options: Record<string, Record<string, string>> = {
  "plain HTTP, NAT": plain,
  domain: secured,
  endpoints: { ...plain, egress: "endpoints" },
  "three zones": { ...plain, zones: "3" },
  spot: { ...plain, spot: "60", minReplicas: "2", maxReplicas: "9" },
  "existing VPC": {
    ...plain,
    vpcId: "vpc-0123",
    publicSubnetIds: subnets("a", "b"),
    privateSubnetIds: subnets("a", "b"),
  },
  certificate: { ...secured, certificateArn },
  "certificate and zone": { ...secured, certificateArn, hostedZone: "example.com" },
  arm64: { ...plain, instanceType: "c8g.2xlarge" },
  "alarms, protection, keys": {
    ...plain,
    alarmEmail: "ops@example.com",
    deletionProtection: "true",
    apiKeys: '["first-key-0123","second-key-0123"]',
  },
};

const anything: unknown = expect.anything();

const runs = new Map<string, Promise<Run>>();
/** Each option is run once, one after the other: Pulumi's runtime is global. */
function runOf(option: string, preview = false): Promise<Run> {
  const key = `${option} ${preview}`;
  const existing = runs.get(key);
  if (existing !== undefined) return existing;
  const run = runProgram(options[option], preview);
  runs.set(key, run);
  return run;
}

function only(run: Run, type: string): Record<string, unknown> {
  const [first, ...others] = ofType(run, type);
  expect(others).toEqual([]);
  return first?.inputs ?? {};
}

function userDataOf(run: Run): string {
  return Buffer.from(only(run, launchTemplate).userData as string, "base64").toString();
}

const launchTemplate = "aws:ec2/launchTemplate:LaunchTemplate";
const group = "aws:autoscaling/group:Group";
const balancer = "aws:lb/loadBalancer:LoadBalancer";
const listener = "aws:lb/listener:Listener";
const targetGroup = "aws:lb/targetGroup:TargetGroup";
const ingress = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
const egress = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule";
const endpoint = "aws:ec2/vpcEndpoint:VpcEndpoint";
const image = "docker:index/image:Image";

test.each(Object.keys(options))(
  "%s: a preview, where nothing is known yet, shows the same resources as the update",
  async (option) => {
    const names = (run: Run) => run.resources.map(({ type, name }) => `${type} ${name}`).toSorted();
    expect(names(await runOf(option, true))).toEqual(names(await runOf(option)));
  },
);

test("the image is compiled for the instance's CPU, and pushed under a tag that no push has had", async () => {
  const [server] = ofType(await runOf("domain"), image).filter(({ name }) => name === "bitnet");
  expect(server?.inputs).toMatchObject({
    imageName: expect.stringMatching(
      new RegExp(`\\.dkr\\.ecr\\.eu-central-1\\.amazonaws\\.com/bitnet-${defaultStack}:server-[0-9a-f]{16}$`),
    ) as string,
    build: { platform: "linux/amd64", args: { CPU_TARGET: "znver4" } },
  });
  const images = ofType(await runOf("arm64"), image);
  expect(images.map(({ inputs }) => (inputs.build as { platform: string }).platform)).toEqual([
    "linux/arm64",
    "linux/arm64",
  ]);
  expect(JSON.stringify(images)).toContain('"CPU_TARGET":"neoverse-v2"');
});

test("each push is an image of its own, whose digest no earlier one has, as the repository keeps what came last", async () => {
  for (const { inputs } of ofType(await runOf("domain"), image)) {
    const { args } = inputs.build as { args: Record<string, string> };
    expect(inputs.imageName).toMatch(new RegExp(`:${args.TAG ?? "nothing"}$`));
  }
});

test("the repository is scanned, encrypted, immutable, and goes with the stack", async () => {
  expect(only(await runOf("domain"), "aws:ecr/repository:Repository")).toMatchObject({
    imageTagMutability: "IMMUTABLE",
    imageScanningConfiguration: { scanOnPush: true },
    encryptionConfigurations: [{ encryptionType: "AES256" }],
    forceDelete: true,
  });
});

test("instances run both images by digest, on an encrypted disk, and give no container their role", async () => {
  const run = await runOf("domain");
  expect(userDataOf(run)).toMatch(/^SERVER_IMAGE=registry\/bitnet@sha256:0{64}$/m);
  expect(userDataOf(run)).toMatch(/^BALANCER_IMAGE=registry\/balancer@sha256:0{64}$/m);
  expect(only(run, launchTemplate)).toMatchObject({
    imageId: "ami-x86_64",
    metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 },
    blockDeviceMappings: [{ ebs: { encrypted: "true", volumeType: "gp3" } }],
  });
  expect(only(run, launchTemplate)).not.toHaveProperty("keyName");
  expect(only(await runOf("arm64"), launchTemplate)).toMatchObject({ imageId: "ami--arm64" });
});

test("API keys are secret everywhere, and in nothing but Secrets Manager and the smoke test", async () => {
  for (const [option, key] of [
    ["domain", "generated-password"],
    ["alarms, protection, keys", "first-key-0123"],
  ] as const) {
    const run = await runOf(option);
    const holders = run.resources.filter(({ inputs }) => JSON.stringify(inputs).includes(key));
    expect(holders.map(({ type, secrets }) => [type, secrets])).toEqual([
      ["aws:secretsmanager/secretVersion:SecretVersion", ["secretString"]],
      ["command:local:Command", ["environment"]],
    ]);
    expect([run.outputs.apiKey, run.secretOutputs]).toEqual([key, ["apiKey"]]);
    expect(userDataOf(run)).not.toContain(key);
  }
});

test("in a preview, too, a key that is configured is in nothing that is not secret", async () => {
  const { resources } = await runOf("alarms, protection, keys", true);
  const holders = resources.filter(({ inputs }) => JSON.stringify(inputs).includes("first-key-0123"));
  expect(holders.map(({ type }) => type)).toContain("aws:secretsmanager/secretVersion:SecretVersion");
  for (const { inputs, secrets } of holders) {
    const open = Object.entries(inputs).filter(([property]) => !secrets.includes(property));
    expect(JSON.stringify(open)).not.toContain("first-key-0123");
  }
});

test("a second key is one that instances take, and the secret's version is in their user data", async () => {
  const run = await runOf("alarms, protection, keys");
  expect(only(run, "aws:secretsmanager/secretVersion:SecretVersion").secretString).toBe(
    "API_KEY_0=first-key-0123\nAPI_KEY_1=second-key-0123",
  );
  expect(userDataOf(run)).toContain('"Bearer ${API_KEY_0}" "Bearer ${API_KEY_1}"');
  expect(userDataOf(run)).toMatch(/^SECRET_VERSION=version-1$/m);
});

test("the registry's password is secret", async () => {
  for (const { secrets } of ofType(await runOf("domain"), image)) expect(secrets).toContain("registry");
});

test("the group scales by itself, waits for each new instance's word, and replaces what does not answer", async () => {
  const inputs = only(await runOf("domain"), group);
  expect(inputs).toMatchObject({
    minSize: 1,
    maxSize: 4,
    healthCheckType: "ELB",
    initialLifecycleHooks: [
      { name: "launch", lifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING", defaultResult: "ABANDON" },
    ],
  });
  expect(inputs).not.toHaveProperty("desiredCapacity");
  // The script waits: the provider would wait for the size that it saw last.
  expect(inputs.waitForCapacityTimeout).toBe("0");
  expect(inputs).not.toHaveProperty("instanceRefresh");
  expect(userDataOf(await runOf("domain"))).toContain(`GROUP=${String(inputs.name)}\nHOOK=launch\n`);
});

test("scaling follows busy slots and waiting requests together", async () => {
  expect(only(await runOf("domain"), "aws:autoscaling/policy:Policy")).toMatchObject({
    policyType: "TargetTrackingScaling",
    targetTrackingConfiguration: { targetValue: 70, customizedMetricSpecification: { metricName: "Load" } },
  });
});

test("spot instances come on top of the on-demand ones, and run the same code", async () => {
  expect(only(await runOf("spot"), group)).toMatchObject({
    capacityRebalance: true,
    mixedInstancesPolicy: {
      launchTemplate: {
        overrides: [{ instanceType: "c7a.2xlarge" }, { instanceType: "m7a.2xlarge" }, { instanceType: "r7a.2xlarge" }],
      },
      instancesDistribution: { onDemandBaseCapacity: 2, onDemandPercentageAboveBaseCapacity: 40 },
    },
  });
});

test("spot instances are never of a type that the model does not fit on, though it runs the same code", async () => {
  const answers: Answers = {
    "aws:ec2/getInstanceType:getInstanceType": (inputs) => ({
      ...awsAnswers["aws:ec2/getInstanceType:getInstanceType"]?.(inputs),
      // MiB for each core: the model needs some 300 in all.
      ...(inputs.instanceType === "c7a.2xlarge" ? { memorySize: 128 } : {}),
      ...(inputs.instanceType === "m7a.2xlarge" ? { defaultCores: 4 } : {}),
    }),
  };
  const typesWith = async (config: Record<string, string>) => {
    const run = await runProgram({ ...plain, instanceType: "r7a.2xlarge", spot: "50", ...config }, true, { answers });
    const policy = only(run, group).mixedInstancesPolicy as {
      launchTemplate: { overrides: { instanceType: string }[] };
    };
    return policy.launchTemplate.overrides.map(({ instanceType }) => instanceType);
  };
  expect(await typesWith({})).toEqual(["r7a.2xlarge", "m7a.2xlarge"]);
  expect(await typesWith({ threads: "8" })).toEqual(["r7a.2xlarge"]);
});

test("instances are replaced by our script, to a numbered version", async () => {
  const [rollout] = ofType(await runOf("domain"), "command:local:Command").filter(
    ({ name }) => name === "fleet-rollout",
  );
  expect(rollout?.inputs.create).toBe("node commands/instanceRefresh.ts");
  const { REFRESH } = rollout?.inputs.environment as { REFRESH: string };
  expect(JSON.parse(REFRESH)).toMatchObject({
    templateVersion: "7",
    instanceTypes: ["c7a.2xlarge"],
    region: "eu-central-1",
    accountId: "123456789012",
    minReplicas: 1,
    spot: 0,
  });
});

test("no instance is started before all is there that its first boot needs, and nothing is asked before all are replaced", async () => {
  const order = (await runOf("domain")).resources.map(({ type, name }) => `${type} ${name}`);
  const before = (earlier: RegExp, later: string) => {
    const places = order.flatMap((entry, index) => (earlier.test(entry) ? [index] : []));
    expect([earlier.source, places.length > 0]).toEqual([earlier.source, true]);
    expect(Math.max(...places)).toBeLessThan(order.indexOf(later));
  };
  for (const needed of [
    /route:Route /,
    /RolePolicy/,
    /SecretVersion/,
    /LogGroup/,
    /Listener/,
    /docker:.*Image/,
    /securityGroup\w+Rule/,
  ]) {
    before(needed, `${group} fleet`);
  }
  before(/fleet-rollout/, "command:local:Command smoke-test");
});

test("the load balancer waits for slow answers, sends each request to the freest instance, and lets it finish", async () => {
  const run = await runOf("domain");
  expect(only(run, balancer)).toMatchObject({
    idleTimeout: 610,
    dropInvalidHeaderFields: true,
    enableDeletionProtection: false,
  });
  expect(only(run, targetGroup)).toMatchObject({
    loadBalancingAlgorithmType: "least_outstanding_requests",
    deregistrationDelay: 1200,
    healthCheck: { path: "/health", matcher: "200" },
  });
  expect(only(run, targetGroup)).not.toHaveProperty("slowStart");
  expect(only(await runOf("alarms, protection, keys"), balancer)).toMatchObject({ enableDeletionProtection: true });
});

test("with a domain everything is HTTPS with a certificate of its own, and HTTP is redirected", async () => {
  const run = await runOf("domain");
  const listeners = ofType(run, listener).map(({ inputs }) => inputs);
  expect(listeners.find(({ port }) => port === 443)).toMatchObject({
    protocol: "HTTPS",
    sslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06",
    certificateArn: "arn:aws:acm:eu-central-1:123456789012:certificate/0123",
  });
  expect(listeners.find(({ port }) => port === 80)).toMatchObject({
    defaultActions: [{ type: "redirect", redirect: { protocol: "HTTPS", port: "443" } }],
  });
  expect(
    ofType(run, "aws:route53/record:Record")
      .map(({ inputs }) => inputs.name)
      .toSorted(),
  ).toEqual(["_proof.llm.example.com", "llm.example.com"]);
  expect(run.outputs.url).toBe("https://llm.example.com/v1");
});

test("a certificate that exists is used; the DNS record is made only where the zone is named", async () => {
  const run = await runOf("certificate");
  expect(ofType(run, listener).map(({ inputs }) => inputs.certificateArn)).toContain(certificateArn);
  expect(ofType(run, "aws:route53/record:Record")).toEqual([]);
  expect(ofType(await runOf("certificate and zone"), "aws:route53/record:Record")).toHaveLength(1);
});

test("a domain that is itself a zone's name is looked for there", async () => {
  const run = await runProgram({ target: "aws", domain: "example.com" }, true);
  const records = ofType(run, "aws:route53/record:Record").map(({ inputs }) => inputs);
  expect(records.find(({ type }) => type === "A")).toMatchObject({ name: "example.com", zoneId: "Z0123" });
});

test("only the API, the health check and the chat page are forwarded, in rules that AWS takes", async () => {
  const run = await runOf("domain");
  const rules = ofType(run, "aws:lb/listenerRule:ListenerRule").map(({ inputs }) => inputs);
  const paths = rules.map(
    ({ conditions }) => (conditions as { pathPattern: { values: string[] } }[])[0]?.pathPattern.values ?? [],
  );
  expect(Math.max(...paths.map(({ length }) => length))).toBeLessThanOrEqual(3);
  expect(paths.flat()).toEqual(expect.arrayContaining(["/v1/*", "/health", "/"]));
  for (const path of ["/slots", "/metrics", "/*"]) expect(paths.flat()).not.toContain(path);
  expect(new Set(rules.map(({ priority }) => priority)).size).toBe(rules.length);
  for (const { inputs } of ofType(run, listener))
    expect(JSON.stringify(inputs.defaultActions)).not.toContain("forward");
});

test("alarms tell the address that is set, and there is a dashboard", async () => {
  const run = await runOf("alarms, protection, keys");
  expect(only(run, "aws:sns/topicSubscription:TopicSubscription")).toMatchObject({
    protocol: "email",
    endpoint: "ops@example.com",
  });
  const alarms = ofType(run, "aws:cloudwatch/metricAlarm:MetricAlarm");
  expect(alarms).toHaveLength(alarmCount);
  for (const { inputs } of alarms) expect(inputs.alarmActions).toHaveLength(1);
  expect(run.outputs.dashboardUrl).toContain(`bitnet-${defaultStack}`);
});

test("logs are kept for as long as was set", async () => {
  expect(only(await runOf("domain"), "aws:cloudwatch/logGroup:LogGroup")).toMatchObject({ retentionInDays: 30 });
});

test("the outputs say where the service is, what runs, how many, and what a month costs", async () => {
  const { outputs } = await runOf("plain HTTP, NAT");
  // Pulumi warns of those that are undefined.
  expect(Object.values(outputs)).not.toContain(undefined);
  expect(outputs).toMatchObject({
    url: "http://fleet-0123.elb.amazonaws.com/v1",
    healthUrl: "http://fleet-0123.elb.amazonaws.com/health",
    image: `registry/bitnet@sha256:${"0".repeat(64)}`,
    replicas: "1 to 4",
    asg: `bitnet-${defaultStack}`,
    repository: `123456789012.dkr.ecr.eu-central-1.amazonaws.com/bitnet-${defaultStack}`,
    costPerMonth: expect.stringMatching(/^\$\d+ with 1/) as string,
  });
});

test("an existing VPC is used as it is: nothing of a network is made", async () => {
  const run = await runOf("existing VPC");
  expect(
    run.resources.filter(({ type }) => /ec2\/(vpc|subnet|route|natGateway|internetGateway|vpcEndpoint)/.test(type)),
  ).toEqual([]);
  expect(only(run, group)).toMatchObject({ vpcZoneIdentifiers: ["subnet-0a", "subnet-1b"] });
});

test("the cost counts the addresses that the load balancer has in an existing VPC", async () => {
  const costOf = async (config: Record<string, string>) =>
    Number(/^\$(\d+) with 1,/.exec(String((await runProgram({ ...plain, ...config })).outputs.costPerMonth))?.[1]);
  const own = { vpcId: "vpc-0123", privateSubnetIds: subnets("a", "b") };
  const two = await costOf({ ...own, publicSubnetIds: subnets("a", "b") });
  // A public address is $3.65.
  expect((await costOf({ ...own, publicSubnetIds: subnets("a", "b", "c") })) - two).toBeCloseTo(3.65, -1);
});

test("subnets are in availability zones, never in a Local Zone, whose name comes first", async () => {
  const run = await runOf("domain");
  const zones = ofType(run, "aws:ec2/subnet:Subnet").map(({ inputs }) => inputs.availabilityZone);
  expect(new Set(zones)).toEqual(new Set(["eu-central-1a", "eu-central-1b"]));
});

test("Pulumi.prod.yaml deploys with nothing but a region and a domain set", async () => {
  const { config } = parse(readFileSync("Pulumi.prod.yaml", "utf8")) as { config: Record<string, string> };
  expect(Object.keys(config)).toEqual(["aws:region", "bitnet-server:target", "bitnet-server:domain"]);
  const own = Object.entries(config).filter(([key]) => key.startsWith("bitnet-server:"));
  const run = await runProgram(
    Object.fromEntries(own.map(([key, value]) => [key.replace("bitnet-server:", ""), value])),
  );
  expect(run.outputs.url).toBe("https://llm.example.com/v1");
});

// What hangs together over several resources.

test.each(["plain HTTP, NAT", "domain", "endpoints", "three zones"])(
  "%s: every instance reaches whatever its user data calls",
  async (option) => {
    const run = await runOf(option);
    const inZones = only(run, group).vpcZoneIdentifiers as string[];
    expect(inZones).toHaveLength(option === "three zones" ? 3 : 2);
    const out = ofType(run, egress).filter(({ inputs }) => inputs.securityGroupId === "fleet-instance-id");
    for (const { inputs } of out) expect([inputs.fromPort, inputs.toPort]).toEqual([443, 443]);
    const endpoints = ofType(run, endpoint).map(({ inputs }) => inputs);
    for (const subnet of inZones) {
      const table = tableOf(run, subnet);
      const way = ofType(run, "aws:ec2/route:Route").filter(({ inputs }) => inputs.routeTableId === table);
      if (way.length > 0) {
        // NAT in a public subnet of the same zone, which has a way to the internet.
        const nat = ofType(run, "aws:ec2/natGateway:NatGateway").find(
          ({ name }) => way[0]?.inputs.natGatewayId === `${name}-id`,
        );
        expect(zoneOf(run, nat?.inputs.subnetId)).toBe(zoneOf(run, subnet));
        const gateway = ofType(run, "aws:ec2/route:Route").find(
          ({ inputs }) => inputs.routeTableId === tableOf(run, nat?.inputs.subnetId) && inputs.gatewayId !== undefined,
        );
        expect(gateway?.inputs.destinationCidrBlock).toBe("0.0.0.0/0");
        expect(out.map(({ inputs }) => inputs.cidrIpv4)).toContain("0.0.0.0/0");
      } else {
        for (const service of calledServices(userDataOf(run))) {
          const found = endpoints.find(({ serviceName }) => serviceName === `com.amazonaws.eu-central-1.${service}`);
          expect([service, found?.vpcEndpointType === "Gateway" ? found.routeTableIds : found?.subnetIds]).toEqual([
            service,
            expect.arrayContaining([service === "s3" ? table : subnet]) as string[],
          ]);
        }
        expect(out.map(({ inputs }) => inputs.referencedSecurityGroupId ?? inputs.prefixListId).toSorted()).toEqual([
          "fleet-network-endpoints-id",
          "pl-s3",
        ]);
      }
    }
  },
);

/** What the user data's commands talk to; Session Manager's agent is on every Amazon Linux. */
function calledServices(userData: string): string[] {
  const byCommand: [RegExp, string[]][] = [
    [/\bdnf install/, ["s3"]],
    [/\bdocker pull/, ["ecr.api", "ecr.dkr", "s3"]],
    [/awslogs/, ["logs"]],
  ];
  const commands = [...userData.matchAll(/\baws ([a-z]+) [a-z-]+/g)].map(([, service = ""]) => service);
  expect(commands.length).toBeGreaterThan(3);
  return [
    ...new Set([
      ...commands,
      "ssm",
      "ssmmessages",
      ...byCommand.flatMap(([used, services]) => (used.test(userData) ? services : [])),
    ]),
  ];
}

test("the load balancer reaches the instances' port, and they let it in", async () => {
  const run = await runOf("domain");
  const port = { ipProtocol: "tcp", fromPort: 8080, toPort: 8080 };
  const rules = (type: string, group: string) =>
    ofType(run, type).flatMap(({ inputs }) => (inputs.securityGroupId === group ? [inputs] : []));
  expect(rules(egress, "fleet-id")).toEqual([
    expect.objectContaining({ referencedSecurityGroupId: "fleet-instance-id", ...port }),
  ]);
  expect(rules(ingress, "fleet-instance-id")).toEqual([
    expect.objectContaining({ referencedSecurityGroupId: "fleet-id", ...port }),
  ]);
});

test("endpoints are found by the services' ordinary names, and let the instances in", async () => {
  const run = await runOf("endpoints");
  const vpc = only(run, "aws:ec2/vpc:Vpc");
  expect(vpc).toMatchObject({ enableDnsSupport: true, enableDnsHostnames: true });
  const endpoints = ofType(run, endpoint).map(({ inputs }) => inputs);
  const interfaces = endpoints.filter(({ vpcEndpointType }) => vpcEndpointType === "Interface");
  expect(interfaces).toHaveLength(7);
  for (const each of interfaces) {
    expect(each).toMatchObject({ privateDnsEnabled: true, securityGroupIds: ["fleet-network-endpoints-id"] });
  }
  const rules = ofType(run, ingress).filter(({ inputs }) => inputs.securityGroupId === "fleet-network-endpoints-id");
  expect(rules.map(({ inputs }) => inputs)).toEqual([
    expect.objectContaining({ ipProtocol: "tcp", fromPort: 443, toPort: 443, cidrIpv4: vpc.cidrBlock }),
  ]);
});

/** What security and availability hang on: known in every preview, whatever AWS has yet to say. */
const decisive: Record<string, string[]> = {
  [launchTemplate]: ["metadataOptions", "blockDeviceMappings"],
  [group]: ["minSize", "maxSize", "healthCheckType", "initialLifecycleHooks"],
  [balancer]: ["dropInvalidHeaderFields", "enableDeletionProtection", "idleTimeout"],
  [listener]: ["port", "protocol"],
  [targetGroup]: ["healthCheck", "deregistrationDelay"],
  [ingress]: ["ipProtocol", "fromPort", "toPort"],
  [egress]: ["ipProtocol", "fromPort", "toPort"],
  "aws:ecr/repository:Repository": ["imageTagMutability", "imageScanningConfiguration", "encryptionConfigurations"],
};

test.each(Object.keys(options))("%s: a preview shows what security hangs on as the update has it", async (option) => {
  const [preview, update] = [await runOf(option, true), await runOf(option)];
  for (const { type, name, inputs } of preview.resources) {
    const made = ofType(update, type).find((resource) => resource.name === name);
    expect({ name, made: made?.inputs }).toMatchObject({ name, made: knownPart(inputs) });
    for (const property of decisive[type] ?? []) expect([name, inputs[property]]).not.toEqual([name, undefined]);
  }
});

/** As far as it is known; the rest may be anything. */
function knownPart(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => (each === undefined ? anything : knownPart(each)));
  if (typeof value !== "object" || value === null) return value;
  const known = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(known.map(([key, inner]) => [key, knownPart(inner)]));
}

test("a transformation of the user's reaches every resource, and changes what it is meant to", async () => {
  const seen = new Set<string>();
  const transformation: pulumi.ResourceTransformation = ({ type, props, opts }) => {
    seen.add(type);
    if (type !== "aws:ec2/vpc:Vpc") return undefined;
    return { props: { ...(props as object), instanceTenancy: "dedicated" }, opts };
  };
  const run = await runProgram(plain, false, { transformation });
  expect(only(run, "aws:ec2/vpc:Vpc")).toMatchObject({ instanceTenancy: "dedicated", cidrBlock: "10.64.0.0/16" });
  const types = (await runOf("plain HTTP, NAT")).resources.map(({ type }) => type);
  expect([...new Set(types)].filter((type) => !seen.has(type))).toEqual([]);
});

function tableOf(run: Run, subnet: unknown): unknown {
  const associations = ofType(run, "aws:ec2/routeTableAssociation:RouteTableAssociation");
  return associations.find(({ inputs }) => inputs.subnetId === subnet)?.inputs.routeTableId;
}

function zoneOf(run: Run, subnet: unknown): unknown {
  return ofType(run, "aws:ec2/subnet:Subnet").find(({ name }) => subnet === `${name}-id`)?.inputs.availabilityZone;
}

test("with endpoints there is no way to the internet from the instances at all", async () => {
  const run = await runOf("endpoints");
  expect(ofType(run, "aws:ec2/natGateway:NatGateway")).toEqual([]);
  for (const { inputs } of ofType(run, egress)) expect(inputs.cidrIpv4).toBeUndefined();
  const [internet, ...others] = ofType(run, "aws:ec2/route:Route");
  expect([internet?.inputs.routeTableId, others]).toEqual(["fleet-network-public-id", []]);
});

test.each(Object.keys(options))(
  "%s: nothing but the load balancer's ports is open, to nobody but who is allowed",
  async (option) => {
    const run = await runOf(option);
    const allowed = option.startsWith("domain") || option.startsWith("certificate") ? "0.0.0.0/0" : "203.0.113.0/24";
    const rules = ofType(run, ingress).map(({ inputs }) => inputs);
    for (const rule of rules) {
      if (rule.securityGroupId === "fleet-id") {
        expect([rule.cidrIpv4, [80, 443]]).toEqual([allowed, expect.arrayContaining([rule.fromPort]) as number[]]);
      } else if (rule.securityGroupId === "fleet-instance-id") {
        expect([rule.referencedSecurityGroupId, rule.fromPort, rule.toPort]).toEqual(["fleet-id", 8080, 8080]);
      } else {
        expect([rule.cidrIpv4, rule.fromPort]).toEqual(["10.64.0.0/16", 443]);
      }
      expect(rule.ipProtocol).toBe("tcp");
    }
    for (const { inputs } of ofType(run, "aws:ec2/securityGroup:SecurityGroup")) {
      expect([inputs.ingress, inputs.egress]).toEqual([undefined, undefined]);
    }
    for (const { inputs } of ofType(run, "aws:ec2/subnet:Subnet")) expect(inputs.mapPublicIpOnLaunch).toBeUndefined();
  },
);

test.each(Object.keys(options))("%s: no policy has a wildcard that is not explained", async (option) => {
  const documents = (await runOf(option)).resources.flatMap(({ type, inputs }) =>
    /RolePolicy$|Policy$/.test(type) && typeof inputs.policy === "string" ? [inputs.policy] : [],
  );
  const statements = documents.flatMap((text) => (JSON.parse(text) as { Statement?: Statement[] }).Statement ?? []);
  expect(statements.length).toBeGreaterThan(5);
  for (const { Sid, Action, Resource } of statements) {
    expect(Action.filter((action) => action.includes("*"))).toEqual([]);
    if (Resource.includes("*")) expect(wildcardReasons[Sid]?.length).toBeGreaterThan(30);
  }
});

test.each(Object.keys(options))(
  "%s: security groups and their rules are described in characters that AWS takes",
  async (option) => {
    const described = (await runOf(option)).resources.filter(({ type }) => type.includes("ecurityGroup"));
    expect(described.length).toBeGreaterThan(4);
    for (const { inputs } of described)
      expect(inputs.description).toMatch(/^[A-Za-z0-9 ._:/()#,@[\]+=&;{}!$*-]{1,255}$/);
  },
);

/** AWS's limits for names, in characters, by type; Pulumi adds eight to a name that it makes. */
const nameLimits: Record<string, [property: string, limit: number]> = {
  "aws:ecr/repository:Repository": ["name", 256],
  "aws:lb/loadBalancer:LoadBalancer": ["name", 32],
  "aws:lb/targetGroup:TargetGroup": ["name", 32],
  "aws:iam/role:Role": ["name", 64],
  "aws:iam/rolePolicy:RolePolicy": ["name", 128],
  "aws:iam/instanceProfile:InstanceProfile": ["name", 128],
  "aws:ec2/launchTemplate:LaunchTemplate": ["name", 128],
  "aws:ec2/securityGroup:SecurityGroup": ["name", 255],
  "aws:autoscaling/group:Group": ["name", 255],
  "aws:autoscaling/policy:Policy": ["name", 255],
  "aws:secretsmanager/secret:Secret": ["name", 512],
  "aws:cloudwatch/logGroup:LogGroup": ["name", 512],
  "aws:cloudwatch/metricAlarm:MetricAlarm": ["name", 255],
  "aws:cloudwatch/dashboard:Dashboard": ["dashboardName", 255],
  "aws:sns/topic:Topic": ["name", 256],
};

test("names fit AWS's limits for a stack name of 60 characters, and so does the user data", async () => {
  const stack = `A.stack_${"s".repeat(52)}`;
  const run = await runProgram(options["alarms, protection, keys"], false, { stack });
  const named = run.resources.filter(({ type }) => type in nameLimits);
  expect(new Set(named.map(({ type }) => type)).size).toBe(Object.keys(nameLimits).length);
  for (const { type, name, inputs } of named) {
    const [property, limit] = nameLimits[type] ?? ["name", 0];
    const given = inputs[property];
    const length = typeof given === "string" ? given.length : name.length + 8;
    expect([type, length]).toEqual([type, Math.min(length, limit)]);
    if (typeof given === "string") expect(given).toMatch(/^[a-z0-9-]+$/);
  }
  expect(Buffer.byteLength(userDataOf(run))).toBeLessThan(16_384);
});

test.each(["domain", "endpoints", "alarms, protection, keys"])(
  "%s: all that AWS puts tags on carries the stack's",
  async (option) => {
    const run = await runOf(option);
    const taggable = run.resources.filter(({ type }) => type.startsWith("aws:") && type !== group && takesTags(type));
    expect(taggable.length).toBeGreaterThan(30);
    for (const { type, name, inputs } of taggable) {
      expect([type, name, inputs.tags]).toEqual([
        type,
        name,
        expect.objectContaining({ "bitnet-server:stack": defaultStack }),
      ]);
    }
    expect(only(run, group).tags).toContainEqual({
      key: "bitnet-server:stack",
      value: defaultStack,
      propagateAtLaunch: false,
    });
    const specifications = only(run, launchTemplate).tagSpecifications as { resourceType: string; tags: object }[];
    expect(specifications.map(({ resourceType }) => resourceType)).toEqual(["instance", "volume"]);
    for (const { tags } of specifications) expect(tags).toHaveProperty("bitnet-server:stack", defaultStack);
  },
);

/** Whether @pulumi/aws's type has a property `tags`. */
function takesTags(type: string): boolean {
  const [, path = "", name = ""] = /^aws:([^:]+):(.+)$/.exec(type) ?? [];
  const text = readFileSync(`node_modules/@pulumi/aws/${path}.d.ts`, "utf8");
  const args = new RegExp(`export interface ${name}Args \\{([\\s\\S]*?)\\n\\}`).exec(text)?.[1] ?? "";
  return /^ {4}tags\?/m.test(args);
}

// What is wrong is refused before anything is registered, in words that help.

async function problemsOf(config: Record<string, string>, surroundings: Surroundings = {}): Promise<unknown> {
  return runProgram({ ...plain, ...config }, true, surroundings).then(
    () => [],
    (error: unknown) => (error as { problems?: unknown }).problems ?? error,
  );
}

const contains = (text: string) => expect.stringContaining(text) as string;

test.each<[what: string, config: Record<string, string>, problem: object]>([
  [
    "an instance type that does not exist",
    { instanceType: "c7x.huge" },
    { key: "instanceType", wrong: contains("InvalidInstanceType") },
  ],
  ["a GPU instance", { instanceType: "g5.xlarge" }, { key: "instanceType", wrong: contains("GPU") }],
  [
    "one of the wrong architecture",
    { instanceType: "c8g.large", cpuTarget: "znver4" },
    { key: "cpuTarget", wrong: contains("arm64") },
  ],
  ["more least than most replicas", { minReplicas: "5" }, { key: "minReplicas", right: "at most 4" }],
  [
    "a range that is not one",
    { allowedCidrs: '["300.0.0.0/8"]' },
    { key: "allowedCidrs", wrong: contains("not an IP range") },
  ],
  ["a VPC range that is not one", { vpcCidr: "10.0.0.1/16" }, { key: "vpcCidr" }],
  [
    "a domain without a hosted zone",
    { domain: "llm.example.org" },
    { key: "domain", wrong: contains("no public zone llm.example.org or example.org: no matching") },
  ],
  [
    "a certificate in another region",
    { domain: "llm.example.com", certificateArn: certificateArn.replace("eu-central-1", "us-east-1") },
    { key: "certificateArn", wrong: contains("us-east-1") },
  ],
  [
    "user data larger than AWS takes, by arguments",
    { extraArgs: JSON.stringify(["'".repeat(2000)]) },
    { key: "extraArgs", wrong: contains("and AWS takes 16384") },
  ],
  [
    "plain HTTP that was not asked for",
    { allowPlainHttp: "false" },
    { key: "domain", right: contains("allowPlainHttp") },
  ],
  ["the docker target's setting", { port: "9000" }, { key: "port", wrong: contains("a setting of target docker") }],
  [
    "a subnet that does not exist",
    { vpcId: "vpc-0123", publicSubnetIds: '["subnet-0a","subnet-00"]', privateSubnetIds: subnets("a", "b") },
    { key: "publicSubnetIds", wrong: contains("InvalidSubnetID.NotFound") },
  ],
  [
    "subnets without their VPC",
    { privateSubnetIds: subnets("a", "b") },
    { key: "privateSubnetIds", right: contains("vpcId") },
  ],
])("%s is refused", async (_, config, problem) => {
  expect(await problemsOf(config)).toEqual([expect.objectContaining(problem)]);
});

test.each<[what: string, config: Record<string, string>, warning: string]>([
  ["plain HTTP to the whole internet", { allowedCidrs: '["0.0.0.0/0"]' }, "ANYONE ON THE WAY CAN READ THE API KEY"],
  ["plain HTTP to the whole of IPv6", { allowedCidrs: '["::/0"]' }, "ANYONE ON THE WAY CAN READ THE API KEY"],
  ["a burstable instance", { instanceType: "t3.2xlarge" }, "instanceType t3.2xlarge is burstable"],
  ["a CPU that is not in the table", { instanceType: "z9q.2xlarge" }, "built for any x86-64-v3"],
])("%s is warned about, and works", async (_, config, warning) => {
  const told = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  try {
    await runProgram({ ...plain, ...config }, true);
    expect(told.mock.calls.flat().join("\n")).toContain(warning);
  } finally {
    told.mockRestore();
  }
});

test("an existing VPC with one zone is refused", async () => {
  const oneZone = { publicSubnetIds: '["subnet-0a","subnet-1a"]', privateSubnetIds: subnets("a", "b") };
  expect(await problemsOf({ vpcId: "vpc-0123", ...oneZone })).toMatchObject([
    { key: "publicSubnetIds", wrong: contains("one zone") },
  ]);
  expect(
    await problemsOf({ vpcId: "vpc-9999", publicSubnetIds: subnets("a", "b"), privateSubnetIds: subnets("a", "b") }),
  ).toMatchObject([{ key: "publicSubnetIds", wrong: contains("not in vpc-9999") }, { key: "privateSubnetIds" }]);
});

test("an existing VPC whose private subnets' zones do not have the type is refused", async () => {
  const answers = {
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": () => ({
      locations: ["eu-central-1b", "eu-central-1c"],
    }),
  };
  const inZones = (...zones: string[]) => ({
    vpcId: "vpc-0123",
    publicSubnetIds: subnets("a", "b"),
    privateSubnetIds: JSON.stringify(zones.map((zone, index) => `subnet-${index}${zone}`)),
  });
  expect(await problemsOf(inZones("a", "b"), { answers })).toMatchObject([
    { key: "instanceType", wrong: contains("are in eu-central-1a, eu-central-1b, and it is offered in eu-central-1b") },
  ]);
  expect(await problemsOf(inZones("a", "b", "c"), { answers })).toEqual([]);
});

test("a type that the zones of the stack's own subnets do not have is refused: subnets stay where they are", async () => {
  const offeredIn = (...zones: string[]) => ({
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": () => ({
      locations: zones.map((zone) => `eu-central-1${zone}`),
    }),
    "aws:ec2/getSubnets:getSubnets": () => ({ ids: ["subnet-1b", "subnet-0c"] }),
    "aws:ec2/getSubnet:getSubnet": ({ id }: Record<string, unknown>) => ({
      id,
      availabilityZone: `eu-central-1${String(id).slice(-1)}`,
      tags: { Name: `fleet-network-private-${String(id).slice(-2, -1)}` },
    }),
  });
  expect(await problemsOf({}, { answers: offeredIn("a", "b") })).toMatchObject([
    { key: "instanceType", wrong: contains("are in eu-central-1c, eu-central-1b") },
  ]);
  // A third zone is one that is not used yet, even where AWS has begun to offer the type in one that comes before.
  const run = await runProgram({ ...plain, zones: "3" }, true, { answers: offeredIn("a", "b", "c") });
  const zones = ofType(run, "aws:ec2/subnet:Subnet").map(({ inputs }) => String(inputs.availabilityZone).slice(-1));
  expect(zones).toEqual(["c", "b", "a", "c", "b", "a"]);
});

test("deletion protection is said to be lifted before destroy", async () => {
  const told = vi.spyOn(pulumi.log, "info").mockResolvedValue();
  try {
    await runProgram({ ...plain, deletionProtection: "true" }, true);
    expect(told.mock.calls.map(([message]) => message).join("\n")).toContain("set it to false and run `pulumi up`");
  } finally {
    told.mockRestore();
  }
});

test("a type that is not offered in two zones is refused", async () => {
  const answers = {
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": () => ({ locations: ["eu-central-1a"] }),
  };
  expect(await problemsOf({}, { answers })).toMatchObject([
    { key: "instanceType", wrong: contains("1 zones (eu-central-1a)") },
  ]);
  expect(await problemsOf({ zones: "4" })).toMatchObject([{ key: "zones", right: contains("at most 3") }]);
});

test("mistakes in the settings, the engine's source, the model and the account are reported together", async () => {
  const found = await problemsOf({
    minReplicas: "0",
    allowedCidrs: "everybody",
    engineRepo: "./no-such.tar.gz",
    modelUrl: "./no-such.gguf",
    instanceType: "c7x.huge",
    domain: "llm.example.org",
  });
  expect((found as { key: string }[]).map(({ key }) => key)).toEqual([
    ...["minReplicas", "allowedCidrs", "engineRepo", "modelUrl", "instanceType", "domain"],
  ]);
});

test.each([
  ["no credentials", "No valid credential sources found"],
  ["expired credentials", "ExpiredToken: The security token included in the request is expired"],
])("%s are told in AWS's own words, with what to do", async (_, words) => {
  const answers = {
    "aws:index/getCallerIdentity:getCallerIdentity": () => {
      throw awsError(words);
    },
  };
  expect(await problemsOf({}, { answers })).toMatchObject([
    { key: "AWS", wrong: contains(words), right: contains("aws sso login") },
  ]);
});

test("a model that does not fit is refused, with the smallest size that does", async () => {
  const answers = {
    "aws:ec2/getInstanceType:getInstanceType": ({ instanceType }: Record<string, unknown>) => ({
      instanceType,
      supportedArchitectures: ["x86_64"],
      defaultVcpus: 1,
      defaultCores: 1,
      // In MiB: nearly nothing, but for one size.
      memorySize: instanceType === "c7a.xlarge" ? 8192 : 64,
      burstablePerformanceSupported: false,
      gpuses: [],
      inferenceAccelerators: [],
      neuronDevices: [],
      fpgas: [],
    }),
  };
  expect(await problemsOf({}, { answers })).toMatchObject([
    { key: "instanceType", right: contains("c7a.xlarge, the smallest of c7a") },
  ]);
});
