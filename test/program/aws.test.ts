import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { parse } from "yaml";
import { Cluster } from "@pulumi/aws/ecs/index.js";
import * as pulumi from "@pulumi/pulumi";
import { alarmCount, rollbackAlarms } from "../../components/aws/alarms.ts";
import { actionsByType, deployPolicy, policyLimit } from "../../docs/deployPolicy.ts";
import type { ContainerDefinition } from "../../components/aws/service/taskDefinition.ts";
import type { Statement } from "../../components/aws/policies.ts";
import { wildcardReasons } from "../../components/aws/policies.ts";
import { readConfig } from "../../gateway/src/config.ts";
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
  internal: { ...plain, internal: "true" },
  "schedules, limits, roles": {
    ...plain,
    scaling: '[{"cron":"0 19 ? * MON-FRI *","minReplicas":1,"maxReplicas":2}]',
    rateLimit: "600",
    accessLogsBucket: "some-logs",
    permissionsBoundary: "arn:aws:iam::123456789012:policy/boundary",
    rolePath: "/bitnet/",
    drainTimeout: "30",
    maxInstanceAgeDays: "14",
  },
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

function containersOf(run: Run): ContainerDefinition[] {
  return JSON.parse(only(run, taskDefinition).containerDefinitions as string) as ContainerDefinition[];
}

function variablesOf(run: Run, container: string): Record<string, string> {
  const { environment = [] } = containersOf(run).find(({ name }) => name === container) ?? {};
  return Object.fromEntries(environment.map(({ name, value }) => [name, value]));
}

const launchTemplate = "aws:ec2/launchTemplate:LaunchTemplate";
const group = "aws:autoscaling/group:Group";
const taskDefinition = "aws:ecs/taskDefinition:TaskDefinition";
const service = "aws:ecs/service:Service";
const capacityProvider = "aws:ecs/capacityProvider:CapacityProvider";
const scalableTarget = "aws:appautoscaling/target:Target";
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

test("tasks run the three images by digest, with an address of their own and no role", async () => {
  const run = await runOf("domain");
  expect(containersOf(run).map(({ name, image: digest }) => [name, digest])).toEqual([
    ["server", `registry/bitnet@sha256:${"0".repeat(64)}`],
    ["gateway", `registry/gateway@sha256:${"0".repeat(64)}`],
    ["haproxy", `registry/haproxy@sha256:${"0".repeat(64)}`],
  ]);
  expect(only(run, taskDefinition)).toMatchObject({ networkMode: "awsvpc", requiresCompatibilities: ["EC2"] });
  expect(only(run, taskDefinition)).not.toHaveProperty("taskRoleArn");
});

test("instances have an encrypted disk and ECS's Amazon Linux, and give no container their role", async () => {
  const run = await runOf("domain");
  expect(only(run, launchTemplate)).toMatchObject({
    imageId: "ami-x86_64",
    metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 },
    blockDeviceMappings: [{ ebs: { encrypted: "true", volumeType: "gp3" } }],
  });
  expect(only(run, launchTemplate)).not.toHaveProperty("keyName");
  expect(userDataOf(run)).toContain(`ECS_CLUSTER=bitnet-${defaultStack}\n`);
  expect(userDataOf(run)).toContain("ECS_AWSVPC_BLOCK_IMDS=true");
  expect(only(await runOf("arm64"), launchTemplate)).toMatchObject({ imageId: "ami-arm64" });
});

test("with an age, instances are replaced by some with the newest image, without an update", async () => {
  const run = await runOf("schedules, limits, roles");
  expect(only(run, group)).toMatchObject({ maxInstanceLifetime: 14 * 86_400 });
  expect(only(run, launchTemplate).imageId).toBe(
    "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id",
  );
});

test("with an age, instances are not protected from scale-in, which would keep Auto Scaling from replacing them", async () => {
  const run = await runOf("schedules, limits, roles");
  expect(only(run, group)).toMatchObject({ protectFromScaleIn: false });
  expect(only(run, capacityProvider)).toMatchObject({
    autoScalingGroupProvider: { managedTerminationProtection: "DISABLED", managedDraining: "ENABLED" },
  });
});

test("once the age is unset, instances have an image of their own again: the template is another, whose image is kept", async () => {
  const nameOf = async (option: string) => ofType(await runOf(option), launchTemplate).map(({ name }) => name);
  expect(await nameOf("schedules, limits, roles")).not.toEqual(await nameOf("domain"));
});

test("the cluster is deleted after its instances: AWS deletes none that has any", async () => {
  const depending = new Map<string, unknown>();
  const transformation: pulumi.ResourceTransformation = ({ type, opts }) => {
    depending.set(type, opts.dependsOn);
    return undefined;
  };
  await runProgram(plain, true, { transformation });
  expect((depending.get(group) as unknown[]).some((resource) => Cluster.isInstance(resource))).toBe(true);
});

test("the record that proves the domain stays on destroy: it proves the name for other stacks' certificates, too", async () => {
  const kept = new Map<string, boolean | undefined>();
  const transformation: pulumi.ResourceTransformation = ({ type, name, opts }) => {
    if (type === "aws:route53/record:Record") {
      kept.set(name, (opts as pulumi.CustomResourceOptions & { retainOnDelete?: boolean }).retainOnDelete);
    }
    return undefined;
  };
  await runProgram(options.domain, true, { transformation });
  expect([...kept].filter(([, retained]) => retained).map(([name]) => name)).toEqual(["fleet-validation"]);
  expect(kept.size).toBe(2);
});

test("API keys are secret everywhere, and in clear in nothing but the smoke test: AWS has their hashes", async () => {
  for (const [option, key] of [
    ["domain", "generated-password"],
    ["alarms, protection, keys", "first-key-0123"],
  ] as const) {
    const run = await runOf(option);
    const holders = run.resources.filter(({ inputs }) => JSON.stringify(inputs).includes(key));
    expect(holders.map(({ type, secrets }) => [type, secrets])).toEqual([["command:local:Command", ["environment"]]]);
    const [version] = ofType(run, "aws:secretsmanager/secretVersion:SecretVersion");
    expect(version?.secrets).toEqual(["secretString"]);
    expect([run.outputs.apiKey, run.secretOutputs]).toEqual([key, ["apiKey"]]);
  }
});

test("in a preview, too, a key that is configured is in nothing that is not secret", async () => {
  const { resources } = await runOf("alarms, protection, keys", true);
  const holders = resources.filter(({ inputs }) => JSON.stringify(inputs).includes("first-key-0123"));
  expect(holders.map(({ type }) => type)).toContain("command:local:Command");
  for (const { inputs, secrets } of holders) {
    const open = Object.entries(inputs).filter(([property]) => !secrets.includes(property));
    expect(JSON.stringify(open)).not.toContain("first-key-0123");
  }
});

test("a second key is one that the gateway takes, and the secret's version is in the task definition", async () => {
  const run = await runOf("alarms, protection, keys");
  const text = String(only(run, "aws:secretsmanager/secretVersion:SecretVersion").secretString);
  const { API_KEYS } = JSON.parse(text) as { API_KEYS: string };
  const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");
  const { keys } = readConfig({ UPSTREAM_URL: "http://x", MODEL_ALIAS: "m", CONTEXT_SIZE: "1", API_KEYS });
  expect(keys.map((key) => key.sha256)).toEqual([sha256("first-key-0123"), sha256("second-key-0123")]);
  const [secret] = containersOf(run).flatMap(({ secrets }) => secrets);
  expect(secret?.valueFrom).toMatch(/:API_KEYS::version-1$/);
});

test("the registry's password is secret", async () => {
  for (const { secrets } of ofType(await runOf("domain"), image)) expect(secrets).toContain("registry");
});

test("ECS starts an instance for each task, and removes none that has one", async () => {
  const run = await runOf("domain");
  const inputs = only(run, group);
  expect(inputs).toMatchObject({ minSize: 0, maxSize: 9, protectFromScaleIn: true, forceDelete: true });
  expect(inputs).not.toHaveProperty("desiredCapacity");
  expect(inputs.tags).toContainEqual({ key: "AmazonECSManaged", value: "true", propagateAtLaunch: true });
  expect(only(run, capacityProvider)).toMatchObject({
    autoScalingGroupProvider: {
      managedScaling: { status: "ENABLED", targetCapacity: 100 },
      managedTerminationProtection: "ENABLED",
      managedDraining: "ENABLED",
    },
  });
  expect(only(run, service)).toMatchObject({
    placementConstraints: [{ type: "distinctInstance" }],
    capacityProviderStrategies: [{ base: 0, weight: 100 }],
    forceNewDeployment: true,
  });
});

test("without spot another minReplicas of several changes nothing of the service, which would be a rollout", async () => {
  // The desired count is ignored.
  const serviceWith = async (minReplicas: string) => ({
    ...only(await runProgram({ ...plain, minReplicas }), service),
    desiredCount: 0,
  });
  expect(await serviceWith("3")).toEqual(await serviceWith("2"));
});

test("a rollout is new before old, and undone by the circuit breaker or an alarm", async () => {
  const run = await runOf("domain");
  expect(only(run, service)).toMatchObject({
    deploymentMinimumHealthyPercent: 100,
    deploymentMaximumPercent: 200,
    deploymentCircuitBreaker: { enable: true, rollback: true },
    alarms: { enable: true, rollback: true },
    networkConfiguration: { assignPublicIp: false, securityGroups: ["fleet-service-id"] },
    loadBalancers: [{ containerName: "haproxy", containerPort: 8000 }],
  });
  const { alarmNames } = only(run, service).alarms as { alarmNames: string[] };
  expect(alarmNames).toHaveLength(rollbackAlarms.length);
  // Longer than a replica has anywhere to become ready.
  expect(only(run, service).healthCheckGracePeriodSeconds).toBeGreaterThan(600);
});

test("of several tasks a rollout replaces half at a time, so that a wrong version does not reach all before the alarms", async () => {
  expect(only(await runOf("spot"), service)).toMatchObject({ desiredCount: 2, deploymentMaximumPercent: 150 });
});

test("a night of one replica and a day of many: a rollout can replace the one, and there is an instance for each of the many", async () => {
  const scaling = JSON.stringify([
    { cron: "0 19 ? * * *", minReplicas: 1, maxReplicas: 2 },
    { cron: "0 6 ? * * *", minReplicas: 2, maxReplicas: 6 },
  ]);
  const run = await runProgram({ ...plain, minReplicas: "2", maxReplicas: "4", scaling });
  expect(only(run, service)).toMatchObject({ deploymentMaximumPercent: 200 });
  expect(only(run, group)).toMatchObject({ maxSize: 13 });
});

test("scaling follows busy slots and waiting requests together, between the limits", async () => {
  const run = await runOf("domain");
  const resourceId = `service/bitnet-${defaultStack}/bitnet-${defaultStack}`;
  expect(only(run, scalableTarget)).toMatchObject({ resourceId, minCapacity: 1, maxCapacity: 4 });
  expect(only(run, "aws:appautoscaling/policy:Policy")).toMatchObject({
    resourceId,
    policyType: "TargetTrackingScaling",
    targetTrackingScalingPolicyConfiguration: {
      targetValue: 70,
      customizedMetricSpecification: {
        metricName: "Load",
        namespace: variablesOf(run, "gateway").EMF_NAMESPACE,
        dimensions: [{ name: "ServiceName", value: variablesOf(run, "gateway").EMF_SERVICE }],
      },
    },
  });
});

test("a schedule sets other limits", async () => {
  expect(
    only(await runOf("schedules, limits, roles"), "aws:appautoscaling/scheduledAction:ScheduledAction"),
  ).toMatchObject({
    schedule: "cron(0 19 ? * MON-FRI *)",
    scalableTargetAction: { minCapacity: 1, maxCapacity: 2 },
  });
});

test("spot instances come on top of the on-demand ones, and run the same code", async () => {
  const run = await runOf("spot");
  expect(only(run, service).capacityProviderStrategies).toMatchObject([
    { base: 2, weight: 40 },
    { base: 0, weight: 60 },
  ]);
  expect(ofType(run, group).map(({ inputs }) => inputs)).toMatchObject([
    { mixedInstancesPolicy: { instancesDistribution: { onDemandPercentageAboveBaseCapacity: 100 } } },
    {
      capacityRebalance: true,
      mixedInstancesPolicy: {
        launchTemplate: {
          overrides: [
            { instanceType: "c7a.2xlarge" },
            { instanceType: "m7a.2xlarge" },
            { instanceType: "r7a.2xlarge" },
          ],
        },
        instancesDistribution: { onDemandPercentageAboveBaseCapacity: 0 },
      },
    },
  ]);
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
    const policy = ofType(run, group)[0]?.inputs.mixedInstancesPolicy as {
      launchTemplate: { overrides: { instanceType: string }[] };
    };
    return policy.launchTemplate.overrides.map(({ instanceType }) => instanceType);
  };
  expect(await typesWith({})).toEqual(["r7a.2xlarge", "m7a.2xlarge"]);
  expect(await typesWith({ threads: "8" })).toEqual(["r7a.2xlarge"]);
});

test("an update waits for the rollout of its own task definition, and another launch template is another one", async () => {
  const run = await runOf("domain");
  const [rollout] = ofType(run, "command:local:Command").filter(({ name }) => name === "fleet-service-rollout");
  expect(rollout?.inputs.create).toBe("node commands/awaitDeployment.ts");
  const { AWAIT_DEPLOYMENT } = rollout?.inputs.environment as { AWAIT_DEPLOYMENT: string };
  expect(JSON.parse(AWAIT_DEPLOYMENT)).toMatchObject({
    region: "eu-central-1",
    service: `bitnet-${defaultStack}`,
    taskDefinition: `arn:aws:ecs:eu-central-1:123456789012:task-definition/bitnet-${defaultStack}:1`,
  });
  const [server] = containersOf(run);
  expect(server?.dockerLabels).toEqual({ "bitnet-server.launch-template": "fleet-instance-x86-64-id:7" });
});

test("no task is started before all is there that it needs, and nothing is asked before the rollout has ended", async () => {
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
    /ClusterCapacityProviders/,
    /MetricAlarm fleet-server-errors/,
  ]) {
    before(needed, `${service} fleet-service`);
  }
  before(/Command fleet-service-roles/, "aws:ecs/cluster:Cluster fleet");
  before(/internetGateway/, "aws:ec2/natGateway:NatGateway fleet-network-nat-0");
  before(/fleet-service-rollout/, "command:local:Command smoke-test");
});

test("the load balancer waits for slow answers, sends each request to the freest task, and lets it finish", async () => {
  const run = await runOf("domain");
  expect(only(run, balancer)).toMatchObject({
    idleTimeout: 3610,
    dropInvalidHeaderFields: true,
    enableDeletionProtection: false,
    internal: false,
  });
  expect(only(run, targetGroup)).toMatchObject({
    targetType: "ip",
    port: 8000,
    loadBalancingAlgorithmType: "least_outstanding_requests",
    deregistrationDelay: 120,
    healthCheck: { path: "/health", port: "8001", matcher: "200" },
  });
  expect(only(run, targetGroup)).not.toHaveProperty("slowStart");
  expect(only(await runOf("alarms, protection, keys"), balancer)).toMatchObject({ enableDeletionProtection: true });
});

test("an internal load balancer is in the private subnets", async () => {
  const run = await runOf("internal");
  expect(only(run, balancer)).toMatchObject({
    internal: true,
    subnets: ["fleet-network-private-0-id", "fleet-network-private-1-id"],
  });
});

test("access logs, a rate limit, a drain timeout, a permissions boundary and a path are as they were set", async () => {
  const run = await runOf("schedules, limits, roles");
  expect(only(run, balancer)).toMatchObject({ accessLogs: { bucket: "some-logs", enabled: true } });
  expect(only(run, targetGroup)).toMatchObject({ deregistrationDelay: 30 });
  expect(only(run, "aws:wafv2/webAcl:WebAcl")).toMatchObject({
    scope: "REGIONAL",
    defaultAction: { allow: {} },
    rules: [{ action: { block: {} }, statement: { rateBasedStatement: { limit: 600, aggregateKeyType: "IP" } } }],
  });
  expect(only(run, "aws:wafv2/webAclAssociation:WebAclAssociation")).toHaveProperty("resourceArn");
  const roles = ofType(run, "aws:iam/role:Role");
  expect(roles).toHaveLength(2);
  for (const { inputs } of roles) {
    expect(inputs).toMatchObject({ permissionsBoundary: contains("policy/boundary"), path: "/bitnet/" });
  }
  expect(ofType(await runOf("domain"), "aws:wafv2/webAcl:WebAcl")).toEqual([]);
});

test("with a domain everything is HTTPS with a certificate of its own, and HTTP is refused: a redirected client would go on sending its key in clear", async () => {
  const run = await runOf("domain");
  const listeners = ofType(run, listener).map(({ inputs }) => inputs);
  expect(listeners.find(({ port }) => port === 443)).toMatchObject({
    protocol: "HTTPS",
    sslPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06",
    certificateArn: "arn:aws:acm:eu-central-1:123456789012:certificate/0123",
  });
  expect(listeners.find(({ port }) => port === 80)).toMatchObject({
    defaultActions: [{ type: "fixed-response", fixedResponse: { statusCode: "403" } }],
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
    service: `bitnet-${defaultStack}`,
    repository: `123456789012.dkr.ecr.eu-central-1.amazonaws.com/bitnet-${defaultStack}`,
    region: "eu-central-1",
    costPerMonth: expect.stringMatching(/^\$\d+ with 1/) as string,
    costPerMillionTokens: expect.stringMatching(/^about \$\d/) as string,
  });
});

test("an existing VPC is used as it is: nothing of a network is made", async () => {
  const run = await runOf("existing VPC");
  expect(
    run.resources.filter(({ type }) => /ec2\/(vpc|subnet|route|natGateway|internetGateway|vpcEndpoint)/.test(type)),
  ).toEqual([]);
  expect(only(run, group)).toMatchObject({ vpcZoneIdentifiers: ["subnet-0a", "subnet-1b"] });
  expect(only(run, service)).toMatchObject({ networkConfiguration: { subnets: ["subnet-0a", "subnet-1b"] } });
});

test("the cost counts the addresses that the load balancer has in an existing VPC", async () => {
  const costOf = async (config: Record<string, string>) =>
    Number(/^\$(\d+) with 1,/.exec(String((await runProgram({ ...plain, ...config })).outputs.costPerMonth))?.[1]);
  const own = { vpcId: "vpc-0123", privateSubnetIds: subnets("a", "b") };
  const two = await costOf({ ...own, publicSubnetIds: subnets("a", "b") });
  // A public address is $3.65.
  expect((await costOf({ ...own, publicSubnetIds: subnets("a", "b", "c") })) - two).toBeCloseTo(3.65, -1);
  // An internal one's are private, in the instances' subnets.
  expect(two - (await costOf({ ...own, internal: "true" }))).toBeGreaterThanOrEqual(7);
});

test("the cost is that of the fewest and the most replicas that a schedule allows", async () => {
  const scaling = JSON.stringify([
    { cron: "0 19 ? * * *", minReplicas: 1, maxReplicas: 2 },
    { cron: "0 6 ? * * *", minReplicas: 2, maxReplicas: 6 },
  ]);
  const { outputs } = await runProgram({ ...plain, minReplicas: "2", maxReplicas: "4", scaling }, true);
  expect(outputs.costPerMonth).toMatch(/^\$\d+ with 1, \$\d+ with 6 instances/);
});

test("subnets are in availability zones, never in a Local Zone, whose name comes first", async () => {
  const run = await runOf("domain");
  const zones = ofType(run, "aws:ec2/subnet:Subnet").map(({ inputs }) => inputs.availabilityZone);
  expect(new Set(zones)).toEqual(new Set(["eu-central-1a", "eu-central-1b"]));
});

test("Pulumi.prod.yaml is a production stack: two instances, alarms, deletion protection, a maintained image", async () => {
  const { config } = parse(readFileSync("Pulumi.prod.yaml", "utf8")) as { config: Record<string, unknown> };
  const own = Object.entries(config).filter(([key]) => key.startsWith("bitnet-server:"));
  const run = await runProgram(
    Object.fromEntries(own.map(([key, value]) => [key.replace("bitnet-server:", ""), String(value)])),
  );
  expect(run.outputs.url).toBe("https://llm.example.com/v1");
  expect(only(run, scalableTarget)).toMatchObject({ minCapacity: 2 });
  expect(only(run, balancer)).toMatchObject({ enableDeletionProtection: true });
  expect(only(run, "aws:sns/topicSubscription:TopicSubscription")).toHaveProperty("endpoint");
  expect(only(run, group)).toHaveProperty("maxInstanceLifetime");
});

// What hangs together over several resources.

test.each(["plain HTTP, NAT", "domain", "endpoints", "three zones"])(
  "%s: every instance reaches whatever ECS needs of it",
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
        for (const service of neededServices) {
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

/**
 * docs.aws.amazon.com: "Amazon ECS interface VPC endpoints" (the agent's three), ECR's two with S3 for layers, the log
 * driver's, the secret's, and Session Manager's two.
 */
const neededServices = [
  ...["ecs", "ecs-agent", "ecs-telemetry", "ecr.api", "ecr.dkr", "s3", "logs", "secretsmanager", "ssm", "ssmmessages"],
];

test("an endpoint is only in zones that have the service", async () => {
  const answers: Answers = {
    "aws:ec2/getVpcEndpointService:getVpcEndpointService": ({ serviceName }) => ({
      availabilityZones: String(serviceName).endsWith(".ecs-agent")
        ? ["eu-central-1b"]
        : ["eu-central-1a", "eu-central-1b"],
    }),
  };
  const run = await runProgram({ ...plain, egress: "endpoints" }, false, { answers });
  const subnetsOf = (name: string) =>
    ofType(run, endpoint).find(({ inputs }) => String(inputs.serviceName).endsWith(name))?.inputs.subnetIds;
  expect(subnetsOf(".ecs-agent")).toEqual(["fleet-network-private-1-id"]);
  expect(subnetsOf(".ecs-telemetry")).toHaveLength(2);
});

test.each(["domain", "endpoints"])(
  "%s: S3 is reached for image layers and packages alone, and without NAT",
  async (option) => {
    const s3 = ofType(await runOf(option), endpoint).find(({ inputs }) => inputs.vpcEndpointType === "Gateway");
    expect(s3?.inputs.routeTableIds).toHaveLength(2);
    const { Statement: allowed } = JSON.parse(String(s3?.inputs.policy)) as { Statement: Statement[] };
    expect(allowed.map(({ Action }) => Action)).toEqual([["s3:GetObject"], ["s3:GetObject"]]);
  },
);

test("the load balancer reaches the tasks' two ports, and they let it in; out of a task leads nothing", async () => {
  const run = await runOf("domain");
  const port = (number: number) => ({ ipProtocol: "tcp", fromPort: number, toPort: number });
  const rules = (type: string, group: string) =>
    ofType(run, type).flatMap(({ inputs }) => (inputs.securityGroupId === group ? [inputs] : []));
  expect(rules(egress, "fleet-id")).toEqual([
    expect.objectContaining({ referencedSecurityGroupId: "fleet-service-id", ...port(8000) }),
    expect.objectContaining({ referencedSecurityGroupId: "fleet-service-id", ...port(8001) }),
  ]);
  expect(rules(ingress, "fleet-service-id")).toEqual([
    expect.objectContaining({ referencedSecurityGroupId: "fleet-id", ...port(8000) }),
    expect.objectContaining({ referencedSecurityGroupId: "fleet-id", ...port(8001) }),
  ]);
  expect(rules(egress, "fleet-service-id")).toEqual([]);
  expect(rules(ingress, "fleet-instance-id")).toEqual([]);
});

test("endpoints are found by the services' ordinary names, and let the instances in", async () => {
  const run = await runOf("endpoints");
  const vpc = only(run, "aws:ec2/vpc:Vpc");
  expect(vpc).toMatchObject({ enableDnsSupport: true, enableDnsHostnames: true });
  const endpoints = ofType(run, endpoint).map(({ inputs }) => inputs);
  const interfaces = endpoints.filter(({ vpcEndpointType }) => vpcEndpointType === "Interface");
  expect(interfaces).toHaveLength(9);
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
  [group]: ["minSize", "maxSize", "protectFromScaleIn"],
  [capacityProvider]: ["autoScalingGroupProvider"],
  [service]: ["placementConstraints", "deploymentCircuitBreaker", "deploymentMinimumHealthyPercent"],
  [taskDefinition]: ["networkMode"],
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
      } else if (rule.securityGroupId === "fleet-service-id") {
        expect([rule.referencedSecurityGroupId, [8000, 8001]]).toEqual([
          "fleet-id",
          expect.arrayContaining([rule.fromPort]) as number[],
        ]);
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
    if ([Resource].flat().some((resource) => resource.includes("*")))
      expect(wildcardReasons[Sid]?.length).toBeGreaterThan(30);
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
  "aws:ecs/cluster:Cluster": ["name", 255],
  "aws:ecs/service:Service": ["name", 255],
  [taskDefinition]: ["family", 255],
  [capacityProvider]: ["name", 255],
  "aws:appautoscaling/policy:Policy": ["name", 256],
  "aws:secretsmanager/secret:Secret": ["name", 512],
  "aws:cloudwatch/logGroup:LogGroup": ["name", 512],
  "aws:cloudwatch/metricAlarm:MetricAlarm": ["name", 255],
  "aws:cloudwatch/dashboard:Dashboard": ["dashboardName", 255],
  "aws:sns/topic:Topic": ["name", 256],
};

test("names fit AWS's limits for a stack name of 60 characters", async () => {
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

test("docs/deploy-policy.json lets whoever deploys make every type of resource, and no other (`npm run docs` writes it)", async () => {
  const types = new Set<string>();
  for (const option of Object.keys(options)) {
    for (const { type } of (await runOf(option)).resources) if (type.startsWith("aws:")) types.add(type);
  }
  expect([...types].toSorted()).toEqual(Object.keys(actionsByType).toSorted());
  const written = JSON.parse(readFileSync("docs/deploy-policy.json", "utf8")) as unknown;
  expect(written).toEqual(deployPolicy());
  expect(JSON.stringify(written).length).toBeLessThan(policyLimit);
});

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
    { key: "allowedCidrs", wrong: contains("not an IPv4 range") },
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
    "a range too small for a rollout at maxReplicas",
    { vpcCidr: "10.0.0.0/24", maxReplicas: "20" },
    { key: "vpcCidr", wrong: contains("needs 80 addresses, and its subnets have 22") },
  ],
  [
    "an internal load balancer's name in a public zone",
    { internal: "true", domain: "llm.example.com", certificateArn, hostedZone: "example.com" },
    { key: "domain", wrong: contains("no private zone example.com") },
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

test("a wrong vpcId is reported alone: what a VPC of the stack's own would lack does not matter", async () => {
  const answers = {
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": () => ({ locations: ["eu-central-1a"] }),
  };
  const existing = { publicSubnetIds: subnets("a", "b"), privateSubnetIds: subnets("a", "b") };
  expect(await problemsOf({ ...existing, vpcId: "my-vpc" }, { answers })).toMatchObject([{ key: "vpcId" }]);
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

test("a quota that a rollout at maxReplicas exceeds is refused, with its code; one that may not be read is not", async () => {
  const quota = "aws:servicequotas/getServiceQuota:getServiceQuota";
  expect(await problemsOf({}, { answers: { [quota]: () => ({ value: 5 }) } })).toMatchObject([
    { key: "maxReplicas", wrong: contains("needs 64 vCPUs on demand"), right: contains("L-1216C47A") },
  ]);
  const forbidden = () => {
    throw awsError("AccessDeniedException");
  };
  expect(await problemsOf({}, { answers: { [quota]: forbidden } })).toEqual([]);
});

test("an existing VPC whose private subnets have too few addresses is refused", async () => {
  const answers: Answers = {
    "aws:ec2/getSubnet:getSubnet": (inputs) => ({
      ...awsAnswers["aws:ec2/getSubnet:getSubnet"]?.(inputs),
      availableIpAddressCount: 5,
    }),
  };
  const existing = { vpcId: "vpc-0123", publicSubnetIds: subnets("a", "b"), privateSubnetIds: subnets("a", "b") };
  expect(await problemsOf(existing, { answers })).toMatchObject([
    { key: "privateSubnetIds", wrong: contains("needs 16 addresses, and its subnets have 10") },
  ]);
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

test("server, gateway and load balancer agree how many requests a task answers at once, if parallel is not set", async () => {
  const run = await runOf("domain");
  const told = ["server", "gateway", "haproxy"].map((container) => variablesOf(run, container).PARALLEL);
  expect(told).toEqual(["4", "4", "4"]);
});
