import type {
  AutoScalingClient,
  AutoScalingGroup,
  InstanceRefresh,
  MixedInstancesPolicy,
} from "@aws-sdk/client-auto-scaling";
import {
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  StartInstanceRefreshCommand,
} from "@aws-sdk/client-auto-scaling";
import type { EC2Client } from "@aws-sdk/client-ec2";
import { GetConsoleOutputCommand } from "@aws-sdk/client-ec2";
import type { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { DescribeTargetHealthCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { setTimeout as sleep } from "node:timers/promises";

/** What the group shall be made of. */
export interface RefreshRequest {
  region: string;
  groupName: string;
  templateId: string;
  /** A number, so that a rollback knows what it goes back to. */
  templateVersion: string;
  /** The types that the group may take, the preferred one first. */
  instanceTypes: readonly string[];
  targetGroupArn: string;
}

export interface Clients {
  autoScaling: AutoScalingClient;
  loadBalancing: ElasticLoadBalancingV2Client;
  ec2: EC2Client;
}

export interface Pace {
  /** Seconds between two questions. */
  interval: number;
  /** Seconds until every instance must be healthy, once AWS says that all are replaced. */
  healthTimeout: number;
}

/**
 * Never fewer than there were, and up to half as many again while it lasts: of one instance, the new one is started
 * first. What was right before is what a failure goes back to.
 */
const preferences = {
  MinHealthyPercentage: 100,
  MaxHealthyPercentage: 150,
  SkipMatching: true,
  AutoRollback: true,
  ScaleInProtectedInstances: "Refresh",
  StandbyInstances: "Terminate",
} as const;

/** How a refresh can end: docs.aws.amazon.com, API_InstanceRefresh. */
const ends = ["Successful", "Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"];

/** How much of an instance's console is shown when it fails. */
const consoleLines = 40;

/**
 * Replaces the group's instances by ones of the requested template, a few at a time, and waits until all of them take
 * requests. Does nothing but wait where they are that already.
 * @param say is told of each step
 * @returns what runs now
 * @throws Error with AWS's reason and the failed instance's last console lines, after AWS has rolled back
 */
export async function refresh(
  request: RefreshRequest,
  clients: Clients,
  pace: Pace,
  say: (line: string) => void,
): Promise<string> {
  const { autoScaling } = clients;
  const running = await findRefresh(request, clients);
  if (running !== undefined) {
    say("a replacement that was begun earlier is still under way; waiting for it");
    await follow(running, request, clients, pace, say).catch((error: unknown) => {
      say((error as Error).message);
    });
  }

  const group = await describeGroup(request, clients);
  if (!isAsRequested(group, request)) {
    const started = await autoScaling.send(
      new StartInstanceRefreshCommand({
        AutoScalingGroupName: request.groupName,
        DesiredConfiguration: { MixedInstancesPolicy: desiredPolicy(group, request) },
        Preferences: preferences,
      }),
    );
    if (started.InstanceRefreshId === undefined) throw new Error("AWS started a replacement without an id");
    await follow(started.InstanceRefreshId, request, clients, pace, say);
  }
  return waitUntilHealthy(request, clients, pace);
}

async function describeGroup({ groupName }: RefreshRequest, { autoScaling }: Clients): Promise<AutoScalingGroup> {
  const names = { AutoScalingGroupNames: [groupName] };
  const { AutoScalingGroups: [group] = [] } = await autoScaling.send(new DescribeAutoScalingGroupsCommand(names));
  if (group === undefined) throw new Error(`there is no Auto Scaling group ${groupName}: run pulumi refresh, then up`);
  return group;
}

/** The group's own policy, with what is requested in it. */
function desiredPolicy(group: AutoScalingGroup, request: RefreshRequest): MixedInstancesPolicy {
  return {
    ...(group.MixedInstancesPolicy?.InstancesDistribution === undefined
      ? {}
      : { InstancesDistribution: group.MixedInstancesPolicy.InstancesDistribution }),
    LaunchTemplate: {
      LaunchTemplateSpecification: { LaunchTemplateId: request.templateId, Version: request.templateVersion },
      Overrides: request.instanceTypes.map((InstanceType) => ({ InstanceType })),
    },
  };
}

function isAsRequested({ MixedInstancesPolicy: policy }: AutoScalingGroup, request: RefreshRequest): boolean {
  const { LaunchTemplateSpecification: template, Overrides: overrides = [] } = policy?.LaunchTemplate ?? {};
  const types = overrides.map(({ InstanceType }) => InstanceType);
  return (
    template?.LaunchTemplateId === request.templateId &&
    template.Version === request.templateVersion &&
    types.join() === request.instanceTypes.join()
  );
}

async function findRefresh(request: RefreshRequest, clients: Clients): Promise<string | undefined> {
  const newest = new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: request.groupName, MaxRecords: 1 });
  const { InstanceRefreshes: [last] = [] } = await clients.autoScaling.send(newest);
  return last === undefined || hasEnded(last) ? undefined : last.InstanceRefreshId;
}

function hasEnded({ Status }: InstanceRefresh): boolean {
  return ends.includes(Status ?? "");
}

async function follow(
  id: string,
  request: RefreshRequest,
  clients: Clients,
  { interval }: Pace,
  say: (line: string) => void,
): Promise<void> {
  const describe = new DescribeInstanceRefreshesCommand({
    AutoScalingGroupName: request.groupName,
    InstanceRefreshIds: [id],
  });
  let said = "";
  let newcomers: string[] = [];
  for (;;) {
    const { InstanceRefreshes: [now] = [] } = await clients.autoScaling.send(describe);
    if (now === undefined) throw new Error(`AWS does not know the replacement ${id} any more`);
    const line = `${now.Status ?? "unknown"} ${now.PercentageComplete ?? 0} %: ${now.StatusReason ?? ""}`.replace(
      /: $/,
      "",
    );
    if (line !== said) say((said = line));
    if (now.Status === "Successful") return;
    if (hasEnded(now)) {
      throw new Error(`${described(now)}\n${await lastWords(newcomers, clients)}`);
    }
    // Remembered while they exist: a failed instance leaves the group before the replacement is said to have failed.
    const instances = (await describeGroup(request, clients)).Instances ?? [];
    const found = instances.filter(({ LaunchTemplate }) => LaunchTemplate?.Version === request.templateVersion);
    newcomers = [...new Set([...newcomers, ...found.flatMap(({ InstanceId }) => InstanceId ?? [])])];
    await sleep(interval * 1000);
  }
}

function described({ Status, StatusReason, RollbackDetails }: InstanceRefresh): string {
  const reason = RollbackDetails?.RollbackReason ?? StatusReason ?? "AWS gives no reason";
  const outcome =
    Status === "RollbackSuccessful"
      ? "the instances were not replaced, and what ran before runs again"
      : `the replacement of the instances ended as ${Status ?? "unknown"}; look at the group's activity`;
  return `${outcome}: ${reason}`;
}

/** The end of the newest failed instance's console, where llama-server's and the units' messages go. */
async function lastWords(instances: readonly string[], { ec2 }: Clients): Promise<string> {
  for (const InstanceId of instances.toReversed()) {
    try {
      const { Output } = await ec2.send(new GetConsoleOutputCommand({ InstanceId }));
      const lines = Buffer.from(Output ?? "", "base64")
        .toString()
        .trimEnd()
        .split("\n");
      if (lines.join("") !== "") return [`the console of ${InstanceId}:`, ...lines.slice(-consoleLines)].join("\n");
    } catch {
      // Gone for too long, or not allowed: there may be another one.
    }
  }
  return "no console output is left; look at the log group";
}

async function waitUntilHealthy(
  request: RefreshRequest,
  clients: Clients,
  { interval, healthTimeout }: Pace,
): Promise<string> {
  const deadline = Date.now() + healthTimeout * 1000;
  for (;;) {
    const [instances, healthy] = await Promise.all([inService(request, clients), healthyTargets(request, clients)]);
    const old = instances.filter(({ version }) => version !== request.templateVersion);
    const missing = instances.filter(({ id }) => !healthy.has(id));
    if (instances.length > 0 && old.length === 0 && missing.length === 0) {
      return `${instances.length} healthy, all of version ${request.templateVersion}`;
    }
    if (Date.now() > deadline) {
      throw new Error(
        [
          `after ${healthTimeout} s not all instances take requests: ${instances.length} in service,`,
          `of an older version: ${list(old)}, not healthy at the load balancer: ${list(missing)}`,
        ].join(" "),
      );
    }
    await sleep(interval * 1000);
  }
}

async function inService(request: RefreshRequest, clients: Clients): Promise<{ id: string; version: string }[]> {
  const { Instances = [] } = await describeGroup(request, clients);
  return Instances.filter(({ LifecycleState }) => LifecycleState === "InService").map((instance) => ({
    id: instance.InstanceId ?? "",
    version: instance.LaunchTemplate?.Version ?? "",
  }));
}

async function healthyTargets({ targetGroupArn }: RefreshRequest, { loadBalancing }: Clients): Promise<Set<string>> {
  const { TargetHealthDescriptions = [] } = await loadBalancing.send(
    new DescribeTargetHealthCommand({ TargetGroupArn: targetGroupArn }),
  );
  const healthy = TargetHealthDescriptions.filter(({ TargetHealth }) => TargetHealth?.State === "healthy");
  return new Set(healthy.flatMap(({ Target }) => Target?.Id ?? []));
}

function list(instances: readonly { id: string }[]): string {
  return instances.map(({ id }) => id).join(", ") || "none";
}
