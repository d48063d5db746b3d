import type { AutoScalingGroup, InstanceRefresh, MixedInstancesPolicy } from "@aws-sdk/client-auto-scaling";
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  DescribeScalingActivitiesCommand,
  StartInstanceRefreshCommand,
  UpdateAutoScalingGroupCommand,
} from "@aws-sdk/client-auto-scaling";
import { EC2Client, GetConsoleOutputCommand, TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import { DescribeTargetHealthCommand, ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { setTimeout as sleep } from "node:timers/promises";

/** What the group shall be made of. */
export interface RefreshRequest {
  region: string;
  /** The account that Pulumi's credentials are for; this script's can be for another one. */
  accountId: string;
  groupName: string;
  templateId: string;
  /** A number, so that a rollback knows what it goes back to. */
  templateVersion: string;
  /** The types that the group may take, the preferred one first. */
  instanceTypes: readonly string[];
  /** How many instances there are at least. So many are on demand. */
  minReplicas: number;
  /** Percent of the instances above `minReplicas` that are spot. */
  spot: number;
  /** Seconds in which a new instance has to be ready; after that AWS gives it up, and starts another one. */
  launchTimeout: number;
  targetGroupArn: string;
}

export interface Clients {
  autoScaling: AutoScalingClient;
  loadBalancing: ElasticLoadBalancingV2Client;
  ec2: EC2Client;
}

/** Where AWS is, and as whom it is asked. Default: as the environment says. */
export interface Place {
  region: string;
  endpoint?: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
}

export function connect(place: Place): Clients {
  // A replacement takes up to hours, and everybody in the account shares AWS's limits: many tries, slower and slower.
  const options = { ...place, retryMode: "adaptive", maxAttempts: 10 };
  return {
    autoScaling: new AutoScalingClient(options),
    loadBalancing: new ElasticLoadBalancingV2Client(options),
    ec2: new EC2Client(options),
  };
}

export interface Pace {
  /** Seconds between two questions. */
  interval: number;
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

/** Pulumi's provider knows more ways to its credentials than are handed on to this script. */
const advice =
  "give the rollout the same credentials as the provider: by AWS_PROFILE, AWS_ACCESS_KEY_ID, … or `pulumi config set aws:profile`, and not by aws:accessKey, aws:assumeRoles, aws:sharedCredentialsFiles or aws:endpoints";

/** For people: what kept {@link refresh} from its end, and what to do. */
export function describeFailure({ name, message }: Error): string {
  return `instances: ${message}${name === "CredentialsProviderError" ? `; ${advice}` : ""}`;
}

/** A group may be unlucky with an instance: it has failed when so many times as many as it needs did not start. */
const launchTries = 2;

/**
 * Brings the group to what is requested: replaces its instances by ones of the requested template, a few at a time, or
 * only changes what later ones are made of, and waits until as many as there have to be take requests. Does nothing but
 * wait where all is as requested already, as after the group was made.
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
  await describeGroup(request, clients);
  const running = await findRefresh(request, clients);
  if (running !== undefined) {
    say("a replacement that was begun earlier is still under way; waiting for it");
    await follow(running, request, clients, pace, say).catch((error: unknown) => {
      say((error as Error).message);
    });
  }

  const group = await describeGroup(request, clients);
  let givenUp: string[] = [];
  if (!hasTemplate(group, request) && inServiceOf(group).length > 0) {
    await replaceInstances(group, request, clients, pace, say);
  } else if (!isAsRequested(group, request)) {
    givenUp = await changePolicy(group, request, clients);
  }
  return waitUntilHealthy(request, clients, pace, say, givenUp);
}

async function describeGroup(
  { groupName, region, accountId }: RefreshRequest,
  { autoScaling }: Clients,
): Promise<AutoScalingGroup> {
  const names = { AutoScalingGroupNames: [groupName] };
  const { AutoScalingGroups: [group] = [] } = await autoScaling.send(new DescribeAutoScalingGroupsCommand(names));
  // The group's ARN has its account; without a group, some kinds of credentials know theirs.
  const account = group?.AutoScalingGroupARN?.split(":")[4] ?? (await autoScaling.config.credentials()).accountId;
  if (account !== undefined && account !== accountId) {
    throw new Error(`these credentials are for the account ${account}, and the stack is in ${accountId}; ${advice}`);
  }
  if (group === undefined) {
    throw new Error(
      [
        `there is no Auto Scaling group ${groupName} in ${region}: if it was deleted, run pulumi refresh, then up;`,
        `if these credentials are not for the account ${accountId} (aws sts get-caller-identity), ${advice}`,
      ].join(" "),
    );
  }
  return group;
}

async function replaceInstances(
  group: AutoScalingGroup,
  request: RefreshRequest,
  clients: Clients,
  pace: Pace,
  say: (line: string) => void,
): Promise<void> {
  const started = await clients.autoScaling.send(
    new StartInstanceRefreshCommand({
      AutoScalingGroupName: request.groupName,
      DesiredConfiguration: { MixedInstancesPolicy: desiredPolicy(group, request) },
      Preferences: preferences,
    }),
  );
  if (started.InstanceRefreshId === undefined) throw new Error("AWS started a replacement without an id");
  await follow(started.InstanceRefreshId, request, clients, pace, say);
}

/**
 * For what needs no replacement: the same template, or nothing in service that would have to be kept, as after a first
 * version that did not start. What is starting from an older version is given up.
 * @returns the ids of those
 */
async function changePolicy(group: AutoScalingGroup, request: RefreshRequest, clients: Clients): Promise<string[]> {
  await clients.autoScaling.send(
    new UpdateAutoScalingGroupCommand({
      AutoScalingGroupName: request.groupName,
      MixedInstancesPolicy: desiredPolicy(group, request),
    }),
  );
  if (hasTemplate(group, request)) return [];
  const InstanceIds = startingOf(group).map(({ id }) => id);
  if (InstanceIds.length > 0) await clients.ec2.send(new TerminateInstancesCommand({ InstanceIds }));
  return InstanceIds;
}

/** The group's own policy, with what is requested in it. */
function desiredPolicy({ MixedInstancesPolicy: own }: AutoScalingGroup, request: RefreshRequest): MixedInstancesPolicy {
  return {
    InstancesDistribution: { ...own?.InstancesDistribution, ...distribution(request) },
    LaunchTemplate: {
      LaunchTemplateSpecification: { LaunchTemplateId: request.templateId, Version: request.templateVersion },
      Overrides: request.instanceTypes.map((InstanceType) => ({ InstanceType })),
    },
  };
}

function distribution({ minReplicas, spot }: RefreshRequest) {
  return { OnDemandBaseCapacity: minReplicas, OnDemandPercentageAboveBaseCapacity: 100 - spot };
}

function hasTemplate({ MixedInstancesPolicy: policy }: AutoScalingGroup, request: RefreshRequest): boolean {
  const template = policy?.LaunchTemplate?.LaunchTemplateSpecification;
  return template?.LaunchTemplateId === request.templateId && template.Version === request.templateVersion;
}

function isAsRequested(group: AutoScalingGroup, request: RefreshRequest): boolean {
  const { LaunchTemplate, InstancesDistribution: own } = group.MixedInstancesPolicy ?? {};
  const types = LaunchTemplate?.Overrides?.map(({ InstanceType }) => InstanceType) ?? [];
  const desired = distribution(request);
  return (
    hasTemplate(group, request) &&
    types.join() === request.instanceTypes.join() &&
    own?.OnDemandBaseCapacity === desired.OnDemandBaseCapacity &&
    own.OnDemandPercentageAboveBaseCapacity === desired.OnDemandPercentageAboveBaseCapacity
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
  // AWS gives up by itself after an hour; a step takes a start and a drain at most.
  const patience = 4 * request.launchTimeout;
  let deadline = Date.now() + patience * 1000;
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
    if (line !== said) {
      say((said = line));
      deadline = Date.now() + patience * 1000;
    }
    if (now.Status === "Successful") return;
    if (hasEnded(now)) {
      throw new Error(`${described(now)}\n${await lastWords(newcomers, clients)}`);
    }
    if (Date.now() > deadline) {
      const state = `the replacement has not moved for ${patience} s (${line}); the next update waits for it again`;
      throw new Error(`${state}\n${await lastWords(newcomers, clients)}`);
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
async function lastWords(instances: readonly string[], clients: Clients): Promise<string> {
  for (const id of instances.toReversed()) {
    // What it says now can only be asked of an instance that is still there.
    const text = (await consoleOf(id, true, clients)) || (await consoleOf(id, false, clients));
    if (text !== "") return [`the console of ${id}:`, ...text.split("\n").slice(-consoleLines)].join("\n");
  }
  return "no console output is left; look at the log group";
}

async function consoleOf(InstanceId: string, Latest: boolean, { ec2 }: Clients): Promise<string> {
  try {
    const { Output } = await ec2.send(new GetConsoleOutputCommand({ InstanceId, Latest }));
    return Buffer.from(Output ?? "", "base64")
      .toString()
      .trimEnd();
  } catch {
    // Gone for too long, or not allowed: there may be another one.
    return "";
  }
}

/** @param givenUp the ids of instances that this script has ended itself: their starts are no failures */
async function waitUntilHealthy(
  request: RefreshRequest,
  clients: Clients,
  { interval }: Pace,
  say: (line: string) => void,
  givenUp: readonly string[],
): Promise<string> {
  const { minReplicas, templateVersion, launchTimeout } = request;
  const timeout = launchTries * launchTimeout;
  const deadline = Date.now() + timeout * 1000;
  const earlier = new Set((await failedLaunches(request, clients)).map(({ activity }) => activity));
  let said = "";
  for (;;) {
    const [group, healthy, launches] = await Promise.all([
      describeGroup(request, clients),
      healthyTargets(request, clients),
      failedLaunches(request, clients),
    ]);
    const instances = inServiceOf(group);
    const old = instances.filter(({ version }) => version !== templateVersion);
    const missing = instances.filter(({ id }) => !healthy.has(id));
    if (instances.length >= minReplicas && old.length === 0 && missing.length === 0) {
      return `${instances.length} healthy, all of version ${templateVersion}`;
    }

    const failed = launches.filter(({ activity, id }) => !earlier.has(activity) && !givenUp.includes(id));
    const state = [
      `${instances.length} in service of at least ${minReplicas},`,
      `of an older version: ${list(old)}, not healthy at the load balancer: ${list(missing)},`,
      `failed to start: ${failed.length}`,
    ].join(" ");
    if (state !== said) say((said = state));
    const reasons = [...new Set(failed.map(({ reason }) => reason))];
    const suspects = [...missing, ...startingOf(group), ...failed.toReversed()].map(({ id }) => id).filter(Boolean);
    if (failed.length >= launchTries * minReplicas) {
      const wrong = `instances of version ${templateVersion} do not start: ${reasons.join("; ")}`;
      throw new Error(`${wrong}\n${await lastWords(suspects, clients)}`);
    }
    if (Date.now() > deadline) {
      const wrong = [`after ${timeout} s not all instances take requests: ${state}`, ...reasons].join("; ");
      throw new Error(`${wrong}\n${await lastWords(suspects, clients)}`);
    }
    await sleep(interval * 1000);
  }
}

interface Instance {
  id: string;
  version: string;
}

function inServiceOf(group: AutoScalingGroup): Instance[] {
  return instancesOf(group, (state) => state === "InService");
}

function startingOf(group: AutoScalingGroup): Instance[] {
  return instancesOf(group, (state) => state.startsWith("Pending"));
}

function instancesOf({ Instances = [] }: AutoScalingGroup, are: (state: string) => boolean): Instance[] {
  return Instances.filter(({ LifecycleState = "" }) => are(LifecycleState)).map((instance) => ({
    id: instance.InstanceId ?? "",
    version: instance.LaunchTemplate?.Version ?? "",
  }));
}

interface FailedLaunch {
  /** The scaling activity's id. */
  activity: string;
  /** The instance's, which only the activity's description has; empty: there was not even an instance. */
  id: string;
  reason: string;
}

/** The newest first. An instance that says by the launch hook that it cannot serve is Cancelled, to AWS. */
async function failedLaunches({ groupName }: RefreshRequest, { autoScaling }: Clients): Promise<FailedLaunch[]> {
  const { Activities = [] } = await autoScaling.send(
    new DescribeScalingActivitiesCommand({ AutoScalingGroupName: groupName }),
  );
  return Activities.filter(({ Description = "" }) => Description.startsWith("Launching"))
    .filter(({ StatusCode }) => StatusCode === "Failed" || StatusCode === "Cancelled")
    .map(({ ActivityId = "", Description = "", StatusMessage = "AWS gives no reason" }) => ({
      activity: ActivityId,
      id: /\bi-[0-9a-z]+/.exec(Description)?.[0] ?? "",
      reason: StatusMessage,
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
