import type { Problem } from "../errors.ts";
import type { Limits } from "./service/scaling.ts";
import { mostReplicas, mostTasks } from "./service/scaling.ts";

/** One of AWS's limits for an account in a region, and what a rollout at maxReplicas takes of it. */
export interface QuotaNeed {
  /** By which an increase is asked for: docs.aws.amazon.com, "Amazon EC2 service quotas". */
  quotaCode: string;
  /** What is counted. */
  what: string;
  needed: number;
  /** The setting that decides. */
  key: string;
  value: number;
}

export interface Demand extends Limits {
  /** Percent of what is above minReplicas. */
  spot: number;
  /** Of one instance. */
  vcpus: number;
  /** Each has an Elastic IP address. */
  natGateways: number;
}

/** What is needed; others in the account may have taken some of it, which is not looked at. */
export function quotasFor(demand: Demand): QuotaNeed[] {
  const { minReplicas, spot, vcpus, natGateways } = demand;
  const tasks = mostTasks(demand);
  const onSpot = Math.ceil((Math.max(0, tasks - minReplicas) * spot) / 100);
  const replicas = decisive(demand);
  const needs = [
    { quotaCode: "L-1216C47A", what: "vCPUs on demand", needed: (tasks - onSpot) * vcpus, ...replicas },
    { quotaCode: "L-34B43A08", what: "spot vCPUs", needed: onSpot * vcpus, ...replicas },
    { quotaCode: "L-0263D0A3", what: "Elastic IP addresses", needed: natGateways, key: "zones", value: natGateways },
  ];
  return needs.filter(({ needed }) => needed > 0);
}

/** The setting that has the most replicas: a schedule's may be more. */
function decisive(limits: Omit<Limits, "minReplicas">): { key: "maxReplicas" | "scaling"; value: number } {
  const value = mostReplicas(limits);
  return { key: value > limits.maxReplicas ? "scaling" : "maxReplicas", value };
}

/** @param quota undefined: it could not be read, and nothing is wrong as far as anybody knows */
export function checkQuota({ quotaCode, what, needed, key, value }: QuotaNeed, quota: number | undefined): Problem[] {
  if (quota === undefined || needed <= quota) return [];
  const wrong = `a rollout with it needs ${needed} ${what}, and the account's quota is ${quota}`;
  const increase = `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code ${quotaCode} --desired-value ${needed}`;
  return [{ key, value, wrong, right: `fewer, a smaller instanceType, or a larger quota: ${increase}` }];
}

/** Each replica takes two addresses, the instance's and the task's, and replicas are spread over the subnets. */
export function checkAddresses(
  key: "vpcCidr" | "privateSubnetIds",
  subnets: { value: unknown; free: readonly number[] } | undefined,
  { minReplicas, maxReplicas, scaling }: Partial<Limits>,
): Problem[] {
  if (subnets === undefined || minReplicas === undefined || maxReplicas === undefined) return [];
  const limits = { minReplicas, maxReplicas, scaling };
  const needed = 2 * mostTasks(limits);
  const available = Math.min(...subnets.free) * subnets.free.length;
  if (subnets.free.length === 0 || needed <= available) return [];
  const wrong = `a rollout with maxReplicas ${mostReplicas(limits)} needs ${needed} addresses, and its subnets have ${available}`;
  return [
    {
      key,
      value: subnets.value,
      wrong,
      right: `larger ${key === "vpcCidr" ? "range" : "subnets"}, or a smaller maxReplicas`,
    },
  ];
}
