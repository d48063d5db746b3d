import {
  DescribeAutoScalingGroupsCommand,
  DescribeLifecycleHooksCommand,
  DescribePoliciesCommand,
} from "@aws-sdk/client-auto-scaling";
import { DescribeAlarmsCommand, GetDashboardCommand } from "@aws-sdk/client-cloudwatch";
import {
  DescribeInstancesCommand,
  DescribeImagesCommand,
  DescribeSecurityGroupRulesCommand,
} from "@aws-sdk/client-ec2";
import { DescribeRepositoriesCommand } from "@aws-sdk/client-ecr";
import {
  DescribeTargetGroupAttributesCommand,
  DescribeTargetHealthCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { GetRolePolicyCommand, ListRolesCommand, ListRolePoliciesCommand } from "@aws-sdk/client-iam";
import { CreateHostedZoneCommand, ListResourceRecordSetsCommand } from "@aws-sdk/client-route-53";
import { GetSecretValueCommand } from "@aws-sdk/client-secrets-manager";
import { afterAll, beforeAll, expect, test } from "vitest";
import { region } from "../../program/aws.ts";
import type { Run } from "../../program/program.ts";
import { defaultStack, ofType, runProgram } from "../../program/program.ts";
import type { Moto } from "./moto.ts";
import { startMoto } from "./moto.ts";
import type { Clients } from "./replay.ts";
import { clientsFor, replay } from "./replay.ts";

let moto: Moto;
beforeAll(async () => {
  moto = await startMoto();
});
afterAll(async () => {
  await moto.stop();
});

interface Deployed {
  run: Run;
  clients: Clients;
}

/** The program, each of whose AWS resources is made by the calls that make it, in a server that starts out empty. */
async function deploy(config: Record<string, string>): Promise<Deployed> {
  await fetch(`${moto.endpoint}/moto-api/reset`, { method: "POST" });
  const clients = clientsFor(moto.endpoint, region);
  const zone = await clients.route53.send(
    new CreateHostedZoneCommand({ Name: "example.com", CallerReference: "test" }),
  );
  const { Images: [image] = [] } = await clients.ec2.send(
    new DescribeImagesCommand({ Owners: ["amazon"], MaxResults: 5 }),
  );
  const run = await runProgram({ target: "aws", domain: "llm.example.com", minReplicas: "2", ...config }, false, {
    answers: {
      "aws:route53/getZone:getZone": () => ({ zoneId: zone.HostedZone?.Id }),
      "aws:ssm/getParameter:getParameter": () => ({ insecureValue: image?.ImageId }),
    },
    create: (type, name, inputs) => replay(clients, type, name, inputs),
  });
  return { run, clients };
}

test.each<[string, Record<string, string>]>([
  ["a domain and NAT", {}],
  ["endpoints", { egress: "endpoints" }],
  [
    "spot, three zones, alarms, two keys",
    { spot: "50", zones: "3", alarmEmail: "ops@example.com", apiKeys: '["first-key-0123","second-key-0123"]' },
  ],
  ["arm64 and plain HTTP", { instanceType: "c8g.2xlarge", domain: "", allowPlainHttp: "true" }],
])("%s: every call is accepted, and the instances are in the load balancer", async (_, config) => {
  const { clients, run } = await deploy(config);
  const { AutoScalingGroups: [group] = [] } = await clients.autoScaling.send(new DescribeAutoScalingGroupsCommand({}));
  expect(group?.Instances?.length).toBe(2);
  const TargetGroupArn = group?.TargetGroupARNs?.[0];
  const { TargetHealthDescriptions = [] } = await clients.elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
  expect(TargetHealthDescriptions.map(({ Target }) => Target?.Id).toSorted()).toEqual(
    group?.Instances?.map(({ InstanceId }) => InstanceId).toSorted(),
  );
  expect(run.outputs.asg).toBe(group?.AutoScalingGroupName);
});

test("what was made is, when it is described, what the program said", async () => {
  const { clients, run } = await deploy({});
  const { autoScaling, cloudWatch, ec2, ecr, elb, iam, secrets, route53 } = clients;

  const { repositories: [repository] = [] } = await ecr.send(new DescribeRepositoriesCommand({}));
  expect(repository).toMatchObject({
    imageTagMutability: "IMMUTABLE",
    imageScanningConfiguration: { scanOnPush: true },
  });

  const { AutoScalingGroups: [group] = [] } = await autoScaling.send(new DescribeAutoScalingGroupsCommand({}));
  expect(group).toMatchObject({ MinSize: 2, MaxSize: 4, HealthCheckType: "ELB" });
  const AutoScalingGroupName = group?.AutoScalingGroupName;
  const { LifecycleHooks } = await autoScaling.send(new DescribeLifecycleHooksCommand({ AutoScalingGroupName }));
  expect(LifecycleHooks).toMatchObject([
    { LifecycleHookName: "launch", DefaultResult: "ABANDON", HeartbeatTimeout: 1800 },
  ]);
  const { ScalingPolicies } = await autoScaling.send(new DescribePoliciesCommand({ AutoScalingGroupName }));
  expect(ScalingPolicies).toMatchObject([{ TargetTrackingConfiguration: { TargetValue: 70 } }]);

  const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({}));
  const instances = Reservations.flatMap(({ Instances = [] }) => Instances);
  expect(group?.VPCZoneIdentifier?.split(",")).toHaveLength(2);
  for (const { InstanceType, Tags } of instances) {
    expect(InstanceType).toBe("c7a.2xlarge");
    expect(Tags).toContainEqual({ Key: "bitnet-server:stack", Value: defaultStack });
  }
  const { SecurityGroupRules = [] } = await ec2.send(new DescribeSecurityGroupRulesCommand({}));
  const open = SecurityGroupRules.filter(({ IsEgress, CidrIpv4 }) => IsEgress === false && CidrIpv4 === "0.0.0.0/0");
  expect(open.map(({ FromPort }) => FromPort).toSorted((a = 0, b = 0) => a - b)).toEqual([80, 443]);

  const TargetGroupArn = group?.TargetGroupARNs?.[0];
  const ofTargets = await elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }));
  expect(ofTargets.Attributes).toContainEqual({
    Key: "load_balancing.algorithm.type",
    Value: "least_outstanding_requests",
  });
  expect(ofTargets.Attributes).toContainEqual({ Key: "deregistration_delay.timeout_seconds", Value: "1200" });

  const { Roles = [] } = await iam.send(new ListRolesCommand({}));
  const RoleName = Roles.find((role) => role.RoleName?.startsWith("fleet-instance"))?.RoleName;
  const { PolicyNames: [PolicyName] = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
  const { PolicyDocument = "" } = await iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }));
  expect(decodeURIComponent(PolicyDocument)).toContain(String(AutoScalingGroupName));

  const [version] = ofType(run, "aws:secretsmanager/secretVersion:SecretVersion");
  const secret = await secrets.send(new GetSecretValueCommand({ SecretId: String(version?.inputs.secretId) }));
  expect(secret.SecretString).toBe("API_KEY_0=generated-password");

  const [address] = ofType(run, "aws:route53/record:Record").filter(({ name }) => name === "fleet-address");
  const HostedZoneId = String(address?.inputs.zoneId);
  const { ResourceRecordSets = [] } = await route53.send(new ListResourceRecordSetsCommand({ HostedZoneId }));
  expect(ResourceRecordSets.find(({ Type }) => Type === "A")).toMatchObject({ Name: "llm.example.com." });

  const { MetricAlarms = [] } = await cloudWatch.send(new DescribeAlarmsCommand({}));
  expect(MetricAlarms.filter(({ AlarmName }) => AlarmName?.startsWith("fleet-")).length).toBe(6);
  const { DashboardBody = "" } = await cloudWatch.send(
    new GetDashboardCommand({ DashboardName: `bitnet-${defaultStack}` }),
  );
  expect(JSON.parse(DashboardBody)).toHaveProperty("widgets");
});
