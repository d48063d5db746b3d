import { familyOf, hasAvx512Vnni } from "../image/cpuTarget.ts";
import type { Engine } from "../model/engines.ts";
import { sideBySide } from "../model/slots.ts";

/** When the prices below were valid, in us-east-1 for Linux. Other regions cost up to 60 % more. */
export const priceDate = "January 2026";

const hoursPerMonth = 730;

/**
 * Dollars an hour for a 2xlarge, on demand; a family's sizes cost in proportion. From AWS's price list, as Karpenter
 * has it: github.com/aws/karpenter-provider-aws, pkg/providers/pricing/zz_generated.pricing_aws.go, of 2026-01-19.
 */
const hourOf2xlarge: Readonly<Record<string, number>> = {
  c5: 0.34,
  c5a: 0.308,
  c5ad: 0.344,
  c5d: 0.384,
  c5n: 0.432,
  m5: 0.384,
  m5d: 0.452,
  m5n: 0.476,
  r5: 0.504,
  r5d: 0.576,
  r5n: 0.596,
  c6a: 0.306,
  c6g: 0.272,
  c6gd: 0.3072,
  c6gn: 0.3456,
  c6i: 0.34,
  c6id: 0.4032,
  c6in: 0.4536,
  m6a: 0.3456,
  m6g: 0.308,
  m6gd: 0.3616,
  m6i: 0.384,
  m6id: 0.4746,
  m6in: 0.55692,
  r6a: 0.4536,
  r6g: 0.4032,
  r6gd: 0.4608,
  r6i: 0.504,
  r6id: 0.6048,
  r6in: 0.69732,
  c7a: 0.41056,
  c7g: 0.29,
  c7gd: 0.3629,
  c7gn: 0.4992,
  c7i: 0.357,
  "c7i-flex": 0.33915,
  m7a: 0.46368,
  m7g: 0.3264,
  m7gd: 0.4271,
  m7i: 0.4032,
  "m7i-flex": 0.38304,
  r7a: 0.6086,
  r7g: 0.4284,
  r7gd: 0.5443,
  r7i: 0.5292,
  c8a: 0.43108,
  c8g: 0.31904,
  c8gd: 0.39192,
  c8gn: 0.474,
  c8i: 0.37484,
  "c8i-flex": 0.35608,
  m8a: 0.48688,
  m8g: 0.35904,
  m8gd: 0.46128,
  m8i: 0.42336,
  "m8i-flex": 0.4022,
  r8a: 0.63904,
  r8g: 0.47128,
  r8gd: 0.58784,
  r8i: 0.55568,
  "r8i-flex": 0.52788,
};

const vcpusOf2xlarge = 8;

/** The gateways': gateway/src/emf.ts. */
const metricCount = 6;

/** Dollars, from the pricing pages of elasticloadbalancing, vpc, privatelink, ebs, secrets-manager and cloudwatch. */
const price = {
  loadBalancerHour: 0.0225,
  publicAddressHour: 0.005,
  natHour: 0.045,
  endpointHour: 0.01,
  volumeGbMonth: 0.08,
  secretMonth: 0.4,
  metricMonth: 0.3,
  webAclMonth: 6,
  alarmMonth: 0.1,
  dashboardMonth: 3,
};

export interface Fleet {
  instanceType: string;
  vcpus: number;
  minReplicas: number;
  maxReplicas: number;
  /** Per instance. */
  volumeGb: number;
  /** Zones in which the load balancer has one address each. */
  zones: number;
  /** Whether the load balancer's addresses are private, and so free. */
  internal: boolean;
  /** Interface endpoints per zone; 0 with NAT, or in a VPC that is not the stack's own. */
  endpoints: number;
  natGateways: number;
  alarms: number;
  /** Whether there is a web ACL with a rule. */
  rateLimited: boolean;
}

/**
 * Dollars per month, rounded up, with the fewest and the most instances, all on demand; spot instances cost about a
 * third. Excludes traffic, logs and the load balancer's capacity units, which depend on use. Undefined: the table does
 * not have the instance type.
 */
export function monthlyCost(fleet: Fleet): { least: number; most: number } | undefined {
  const hour = hourOf2xlarge[familyOf(fleet.instanceType)];
  if (hour === undefined) return undefined;
  const instance = (hour / vcpusOf2xlarge) * fleet.vcpus * hoursPerMonth + price.volumeGbMonth * fleet.volumeGb;
  const hourly =
    price.loadBalancerHour +
    price.publicAddressHour * ((fleet.internal ? 0 : fleet.zones) + fleet.natGateways) +
    price.natHour * fleet.natGateways +
    price.endpointHour * fleet.endpoints * fleet.zones;
  const fixed =
    hourly * hoursPerMonth + price.secretMonth + metricCount * price.metricMonth + price.alarmMonth * fleet.alarms;
  const shared = fixed + price.dashboardMonth + (fleet.rateLimited ? price.webAclMonth : 0);
  return {
    least: Math.ceil(shared + instance * fleet.minReplicas),
    most: Math.ceil(shared + instance * fleet.maxReplicas),
  };
}

/**
 * Tokens generated per second: docs/performance.md, "Tokens a second", with the default model and engine, one answer at
 * a time. Memory speed decides, because each token touches the whole model; a server has about the same memory speed
 * per core.
 */
export const measured = { tokensPerSecond: 12, cores: 2, modelBytes: 1.19e9 };

/** What the price of a token depends on. */
export interface Computing {
  type: string;
  vcpus: number;
  /** Physical cores: a core with two threads is two vCPUs. */
  cores: number;
  engine: Engine;
  /** Requests that it answers at once. */
  slots: number;
  modelBytes: number;
}

/**
 * Dollars per million generated tokens on an instance that generates all the time, in all of its slots; and how many it
 * generates per second. Idle slots and long prompts raise the price. Calculated, not measured on AWS. Undefined: the
 * table does not have the instance type.
 */
export function tokenCost({
  type,
  vcpus,
  cores,
  engine,
  slots,
  modelBytes,
}: Computing): { dollars: number; tokensPerSecond: number } | undefined {
  const hour = hourOf2xlarge[familyOf(type)];
  if (hour === undefined) return undefined;
  const alone = measured.tokensPerSecond * (cores / measured.cores) * (measured.modelBytes / modelBytes);
  const tokensPerSecond = alone * sideBySide(engine, slots, hasAvx512Vnni(type) ? "avx512Vnni" : "others");
  return { dollars: (1e6 * (hour / vcpusOf2xlarge) * vcpus) / (3600 * tokensPerSecond), tokensPerSecond };
}

/** For the stack's output. */
export function describeTokenCost(computing: Computing): string {
  const cost = tokenCost(computing);
  if (cost === undefined) return `not known: there is no price for ${computing.type} in components/aws/prices.ts`;
  const { dollars, tokensPerSecond } = cost;
  return `about $${dollars.toFixed(2)} while an instance generates all the time, ${computing.slots} at once (some ${Math.round(tokensPerSecond)} tokens/s, reckoned from ${measured.tokensPerSecond} on ${measured.cores} cores; not measured on AWS)`;
}

/** For the stack's output. */
export function describeCost(fleet: Fleet): string {
  const cost = monthlyCost(fleet);
  const { instanceType, minReplicas, maxReplicas } = fleet;
  if (cost === undefined) return `not known: there is no price for ${instanceType} in components/aws/prices.ts`;
  return `$${cost.least} with ${minReplicas}, $${cost.most} with ${maxReplicas} instances on demand, plus traffic and logs (list prices of us-east-1, ${priceDate})`;
}
