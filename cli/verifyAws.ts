/** Checks a stack on AWS from outside: what AWS reports about it, and what its URL answers. */
import {
  ApplicationAutoScalingClient,
  DescribeScalableTargetsCommand,
  DescribeScalingPoliciesCommand,
} from "@aws-sdk/client-application-auto-scaling";
import { CloudWatchClient, GetMetricStatisticsCommand } from "@aws-sdk/client-cloudwatch";
import type { Service } from "@aws-sdk/client-ecs";
import { DescribeServicesCommand, ECSClient } from "@aws-sdk/client-ecs";
import { DescribeTargetHealthCommand, ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import type OpenAI from "openai";
import { metricNamespace } from "../components/aws/metrics.ts";
import { judge } from "../components/aws/service/explain.ts";

/** The outputs of the stack to check. */
export interface LiveStack {
  region: string;
  /** The ECS cluster's and the service's name. */
  service: string;
  healthUrl: string;
  model: string;
  /** With the stack's URL and key. */
  openai: OpenAI;
}

/** A check, and what it found. */
export interface Check {
  what: string;
  ok: boolean;
  seen: string;
}

type Finding = Omit<Check, "what">;

/** Metrics arrive every ten seconds, but CloudWatch may show them minutes later. */
const metricMinutes = 10;

/** Runs every check, whatever the others find. A check that cannot run has failed. */
export async function verifyAws(stack: LiveStack): Promise<Check[]> {
  const { region } = stack;
  // Without these the SDK waits for ever.
  const requestHandler = { connectionTimeout: 10_000, requestTimeout: 20_000, throwOnRequestTimeout: true };
  const options = { region, requestHandler };
  return makeChecks(stack, {
    ecs: new ECSClient(options),
    elb: new ElasticLoadBalancingV2Client(options),
    cloudWatch: new CloudWatchClient(options),
    scaling: new ApplicationAutoScalingClient(options),
  });
}

interface Clients {
  ecs: ECSClient;
  elb: ElasticLoadBalancingV2Client;
  cloudWatch: CloudWatchClient;
  scaling: ApplicationAutoScalingClient;
}

async function makeChecks(stack: LiveStack, { ecs, elb, cloudWatch, scaling }: Clients): Promise<Check[]> {
  const service = lookUpService(stack, ecs);
  const checks: Record<string, () => Promise<Finding>> = {
    deployment: async () => checkDeployment(await service),
    targets: async () => checkTargets(await service, elb),
    metrics: () => checkMetrics(stack, cloudWatch),
    scaling: () => checkScaling(stack, scaling),
    health: () => checkHealth(stack),
    "no key": () => checkRefusal(stack),
    answer: () => checkAnswer(stack),
  };
  return Promise.all(
    Object.entries(checks).map(async ([what, check]) => {
      try {
        return { what, ...(await check()) };
      } catch (error) {
        const { name, message } = error as Error;
        return { what, ok: false, seen: `${name}: ${message}` };
      }
    }),
  );
}

/** A line for each check. */
export function describeChecks(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ what }) => what.length));
  return checks.map(({ what, ok, seen }) => `${ok ? "✓" : "✗"} ${what.padEnd(width)}  ${seen}`).join("\n");
}

async function lookUpService({ service }: LiveStack, ecs: ECSClient): Promise<Service> {
  const { services } = await ecs.send(new DescribeServicesCommand({ cluster: service, services: [service] }));
  const found = services?.find(({ status }) => status === "ACTIVE");
  if (found === undefined) throw new Error(`there is no active service ${service} in the cluster ${service}`);
  return found;
}

/** The last deployment has succeeded, and the desired number of tasks is running. */
function checkDeployment(service: Service): Finding {
  const { deployments = [], taskDefinition = "", runningCount = 0, desiredCount = 0 } = service;
  const verdict = judge(deployments, { taskDefinition });
  const state = verdict.state === "failed" || verdict.state === "missing" ? verdict.why : verdict.state;
  const ok = verdict.state === "done" && runningCount === desiredCount && desiredCount > 0;
  return { ok, seen: `${state}; ${runningCount} of ${desiredCount} tasks run` };
}

/** Every target is healthy, except those that are draining. */
async function checkTargets({ loadBalancers = [] }: Service, elb: ElasticLoadBalancingV2Client): Promise<Finding> {
  const TargetGroupArn = loadBalancers[0]?.targetGroupArn;
  const { TargetHealthDescriptions = [] } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
  const targets = TargetHealthDescriptions.map(({ Target, TargetHealth }) => ({ id: Target?.Id, ...TargetHealth }));
  const healthy = targets.filter(({ State }) => State === "healthy").length;
  const others = targets.filter(({ State }) => State !== "healthy" && State !== "draining");
  const words = others.map(({ id = "", State = "", Reason = "" }) => `${id} is ${State} ${Reason}`.trim());
  return {
    ok: healthy > 0 && others.length === 0,
    seen: [`${healthy} of ${targets.length} targets are healthy`, ...words].join("; "),
  };
}

/** The gateways' metric that the service scales by arrives. */
async function checkMetrics({ service }: LiveStack, cloudWatch: CloudWatchClient): Promise<Finding> {
  const now = Date.now();
  const { Datapoints = [] } = await cloudWatch.send(
    new GetMetricStatisticsCommand({
      Namespace: metricNamespace,
      MetricName: "Load",
      Dimensions: [{ Name: "ServiceName", Value: service }],
      StartTime: new Date(now - metricMinutes * 60_000),
      EndTime: new Date(now),
      Period: 60,
      Statistics: ["Average"],
    }),
  );
  const newest = Datapoints.toSorted((a, b) => Number(b.Timestamp) - Number(a.Timestamp))[0];
  if (newest === undefined) {
    return {
      ok: false,
      seen: `no Load of ServiceName ${service} in ${metricNamespace} in the last ${metricMinutes} minutes`,
    };
  }
  return {
    ok: true,
    seen: `Load was ${(newest.Average ?? 0).toFixed(1)} % at ${newest.Timestamp?.toISOString() ?? "?"}`,
  };
}

/** The service follows its load, between its limits. */
async function checkScaling({ service }: LiveStack, scaling: ApplicationAutoScalingClient): Promise<Finding> {
  const resource = `service/${service}/${service}`;
  const [{ ScalableTargets = [] }, { ScalingPolicies = [] }] = await Promise.all([
    scaling.send(new DescribeScalableTargetsCommand({ ServiceNamespace: "ecs", ResourceIds: [resource] })),
    scaling.send(new DescribeScalingPoliciesCommand({ ServiceNamespace: "ecs", ResourceId: resource })),
  ]);
  const [target] = ScalableTargets;
  const tracking = ScalingPolicies.find(({ PolicyType }) => PolicyType === "TargetTrackingScaling");
  if (target === undefined) return { ok: false, seen: `${resource} has no limits` };
  const limits = `${target.MinCapacity ?? 0} to ${target.MaxCapacity ?? 0} tasks`;
  if (tracking === undefined) return { ok: false, seen: `${limits}, without a target tracking policy` };
  const { TargetValue = 0, CustomizedMetricSpecification } = tracking.TargetTrackingScalingPolicyConfiguration ?? {};
  return { ok: true, seen: `${limits}, by ${CustomizedMetricSpecification?.MetricName ?? "?"} at ${TargetValue} %` };
}

async function checkHealth({ healthUrl }: LiveStack): Promise<Finding> {
  const status = await statusOf(healthUrl);
  return { ok: status === 200, seen: `${healthUrl} answers ${status}` };
}

/** A request without a key is refused. */
async function checkRefusal({ openai }: LiveStack): Promise<Finding> {
  const status = await statusOf(`${openai.baseURL}/models`);
  return { ok: status === 401, seen: `a request without a key is answered with ${status}` };
}

async function statusOf(url: string): Promise<number> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  // A response that is not read keeps its connection.
  await response.arrayBuffer();
  return response.status;
}

async function checkAnswer({ openai, model }: LiveStack): Promise<Finding> {
  const began = Date.now();
  const { choices } = await openai.chat.completions.create(
    { model, messages: [{ role: "user", content: "Say hello." }], max_completion_tokens: 16 },
    { timeout: 120_000, maxRetries: 0 },
  );
  const text = choices[0]?.message.content ?? "";
  return {
    ok: text.trim() !== "",
    seen: `${JSON.stringify(text)} after ${((Date.now() - began) / 1000).toFixed(1)} s`,
  };
}
