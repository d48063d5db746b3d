import type { Problem } from "../errors.ts";
import type { Limits } from "./service/scaling.ts";
import { mostReplicas, mostTasks } from "./service/scaling.ts";

/** One of AWS's limits for an account in a region, and how much of it a rollout at maxReplicas takes. */
export interface QuotaNeed {
  /** The code for requesting an increase: docs.aws.amazon.com, "Amazon EC2 service quotas". */
  quotaCode: string;
  /** What is counted. */
  what: string;
  needed: number;
  /** The setting that determines it. */
  key: string;
  value: number;
}

export interface Demand extends Limits {
  /** Percentage of the instances above minReplicas. */
  spot: number;
  /** Per instance. */
  vcpus: number;
  /** Each has an Elastic IP address. */
  natGateways: number;
}

/** What is needed. Others in the account may use some of the quota; that is said, not checked. */
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

/** The setting with the most replicas: a schedule may have more. */
function decisive(limits: Omit<Limits, "minReplicas">): { key: "maxReplicas" | "scaling"; value: number } {
  const value = mostReplicas(limits);
  return { key: value > limits.maxReplicas ? "scaling" : "maxReplicas", value };
}

/** @param quota undefined: it could not be read, so no problem is known */
export function checkQuota({ quotaCode, what, needed, key, value }: QuotaNeed, quota: number | undefined): Problem[] {
  if (quota === undefined || needed <= quota) return [];
  const wrong = `a rollout with it needs ${needed} ${what}, and the account's quota, shared by everything in it, is ${quota}`;
  const increase = `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code ${quotaCode} --desired-value ${needed}`;
  return [{ key, value, wrong, right: `fewer, a smaller instanceType, or a larger quota: ${increase}` }];
}

/** Each replica takes two addresses, the instance's and the task's. Replicas are spread over the subnets. */
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
