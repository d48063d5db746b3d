import { afterAll, beforeAll, expect, test } from "vitest";
import { defaultStack, ofType } from "../../program/program.ts";
import type { Deployed } from "./deploy.ts";
import { deploy } from "./deploy.ts";
import type { Moto } from "./moto.ts";
import { startMoto } from "./moto.ts";

let moto: Moto;
beforeAll(async () => {
  moto = await startMoto();
});
afterAll(async () => {
  await moto.stop();
});

async function capacityProvidersOf({ run, clients }: Deployed) {
  const [association] = ofType(run, "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders");
  const names = association?.inputs.capacityProviders as string[];
  // moto 5.2.5 cannot tell of all.
  const input = { capacityProviders: names };
  return (await clients.ecs.describeCapacityProviders(input)).capacityProviders ?? [];
}

test.each<[string, Record<string, string>]>([
  ["a domain and NAT", {}],
  ["endpoints", { egress: "endpoints" }],
  [
    "spot, three zones, alarms, two keys, a schedule",
    {
      spot: "50",
      zones: "3",
      alarmEmail: "ops@example.com",
      apiKeys: '["first-key-0123","second-key-0123"]',
      scaling: '[{"cron":"0 19 ? * MON-FRI *","minReplicas":1,"maxReplicas":2}]',
    },
  ],
  [
    "arm64 and plain HTTP, internal",
    { instanceType: "c8g.2xlarge", domain: "", allowPlainHttp: "true", internal: "true" },
  ],
])("%s: every call is accepted, and the service is on the cluster's capacity", async (_, config) => {
  const { clients, run } = await deploy(moto, config);
  const name = String(run.outputs.service);
  const { clusters: [cluster] = [] } = await clients.ecs.describeClusters({ clusters: [name] });
  const own = await capacityProvidersOf({ run, clients });
  expect(own).toHaveLength(config.spot === undefined ? 1 : 2);
  expect(cluster?.capacityProviders).toEqual(own.map((provider) => provider.name));
  const { services } = await clients.ecs.describeServices({ cluster: name, services: [name] });
  expect(services).toMatchObject([{ status: "ACTIVE", desiredCount: 2 }]);
});

test("what was made is, when it is described, what the program said", async () => {
  const { clients, run } = await deploy(moto, { accessLogsBucket: "logs-of-example", rateLimit: "2000" });
  const { autoScaling, cloudWatch, ec2, ecr, ecs, elb, iam, scaling, secrets, route53, waf } = clients;

  const { repositories: [repository] = [] } = await ecr.describeRepositories({});
  expect(repository).toMatchObject({
    imageTagMutability: "IMMUTABLE",
    imageScanningConfiguration: { scanOnPush: true },
  });

  const name = String(run.outputs.service);
  const { services: [service] = [] } = await ecs.describeServices({ cluster: name, services: [name] });
  expect(service).toMatchObject({
    desiredCount: 2,
    propagateTags: "SERVICE",
    loadBalancers: [{ containerName: "haproxy", containerPort: 8000 }],
  });
  const { taskDefinition } = await ecs.describeTaskDefinition({ taskDefinition: service?.taskDefinition });
  // Field by field what the program wrote.
  const [registered] = ofType(run, "aws:ecs/taskDefinition:TaskDefinition");
  expect(taskDefinition?.containerDefinitions).toMatchObject(
    JSON.parse(String(registered?.inputs.containerDefinitions)) as object[],
  );
  const own = await capacityProvidersOf({ run, clients });
  const { AutoScalingGroups: [group] = [] } = await autoScaling.describeAutoScalingGroups({});
  expect(own).toMatchObject([
    {
      autoScalingGroupProvider: {
        autoScalingGroupArn: group?.AutoScalingGroupARN,
        managedScaling: { status: "ENABLED", targetCapacity: 100 },
        managedTerminationProtection: "ENABLED",
      },
    },
  ]);
  expect(group).toMatchObject({ MinSize: 0, MaxSize: 7, NewInstancesProtectedFromScaleIn: true });
  expect(group?.Tags?.map(({ Key }) => Key)).toContain("AmazonECSManaged");
  expect(group?.VPCZoneIdentifier?.split(",")).toHaveLength(2);
  const { ScalableTargets } = await scaling.describeScalableTargets({ ServiceNamespace: "ecs" });
  expect(ScalableTargets).toMatchObject([{ ResourceId: `service/${name}/${name}`, MinCapacity: 2, MaxCapacity: 4 }]);
  const { ScalingPolicies } = await scaling.describeScalingPolicies({ ServiceNamespace: "ecs" });
  expect(ScalingPolicies).toMatchObject([{ TargetTrackingScalingPolicyConfiguration: { TargetValue: 70 } }]);

  const { SecurityGroupRules = [] } = await ec2.describeSecurityGroupRules({});
  const open = SecurityGroupRules.filter(({ IsEgress, CidrIpv4 }) => IsEgress === false && CidrIpv4 === "0.0.0.0/0");
  expect(open.map(({ FromPort }) => FromPort).toSorted((a = 0, b = 0) => a - b)).toEqual([80, 443]);

  const { LoadBalancers: [balancer] = [] } = await elb.describeLoadBalancers({});
  const LoadBalancerArn = balancer?.LoadBalancerArn;
  const ofBalancer = await elb.describeLoadBalancerAttributes({ LoadBalancerArn });
  expect(ofBalancer.Attributes).toContainEqual({ Key: "access_logs.s3.enabled", Value: "true" });
  expect(ofBalancer.Attributes).toContainEqual({ Key: "access_logs.s3.bucket", Value: "logs-of-example" });
  const { WebACL } = await waf.getWebACLForResource({ ResourceArn: LoadBalancerArn });
  expect(WebACL).toMatchObject({
    DefaultAction: { Allow: {} },
    Rules: [{ Action: { Block: {} }, Statement: { RateBasedStatement: { Limit: 2000, AggregateKeyType: "IP" } } }],
  });

  const TargetGroupArn = service?.loadBalancers?.[0]?.targetGroupArn;
  const ofTargets = await elb.describeTargetGroupAttributes({ TargetGroupArn });
  expect(ofTargets.Attributes).toContainEqual({
    Key: "load_balancing.algorithm.type",
    Value: "least_outstanding_requests",
  });
  expect(ofTargets.Attributes).toContainEqual({ Key: "deregistration_delay.timeout_seconds", Value: "120" });

  const { Roles = [] } = await iam.listRoles({});
  const RoleName = Roles.find((role) => role.RoleName?.startsWith("fleet-instance"))?.RoleName;
  const { PolicyNames: [PolicyName] = [] } = await iam.listRolePolicies({ RoleName });
  const { PolicyDocument = "" } = await iam.getRolePolicy({ RoleName, PolicyName });
  expect(decodeURIComponent(PolicyDocument)).toContain(`:cluster/${name}`);

  const [version] = ofType(run, "aws:secretsmanager/secretVersion:SecretVersion");
  const secret = await secrets.getSecretValue({ SecretId: String(version?.inputs.secretId) });
  expect(JSON.parse(secret.SecretString ?? "")).toHaveProperty("API_KEYS");

  const [address] = ofType(run, "aws:route53/record:Record").filter((record) => record.name === "fleet-address");
  const HostedZoneId = String(address?.inputs.zoneId);
  const { ResourceRecordSets = [] } = await route53.listResourceRecordSets({ HostedZoneId });
  expect(ResourceRecordSets.find(({ Type }) => Type === "A")).toMatchObject({ Name: "llm.example.com." });

  const { MetricAlarms = [] } = await cloudWatch.describeAlarms({});
  expect(MetricAlarms.filter(({ AlarmName }) => AlarmName?.startsWith("fleet-")).length).toBe(6);
  const { DashboardBody = "" } = await cloudWatch.getDashboard({ DashboardName: `bitnet-${defaultStack}` });
  expect(JSON.parse(DashboardBody)).toHaveProperty("widgets");
});
