import { familyOf } from "../image/cpuTarget.ts";

/**
 * What the prices below were taken for: us-east-1, Linux, at that time. They were noted down without AWS's price list at
 * hand, and only m7g.large was compared with it: good for an estimate, not for a budget. Other regions cost up to 60 %
 * more.
 */
export const priceDate = "June 2025";

const hoursPerMonth = 730;

/** Dollars an hour for each vCPU, on demand: aws.amazon.com/ec2/pricing/on-demand. A family's sizes cost in proportion. */
const vcpuHour: Readonly<Record<string, number>> = {
  c6a: 0.03825,
  c6i: 0.0425,
  c7a: 0.05132,
  c7i: 0.044625,
  c6g: 0.034,
  c7g: 0.03625,
  c8g: 0.03988,
  m6i: 0.048,
  m7a: 0.05796,
  m7i: 0.0504,
  m7g: 0.0408,
  m8g: 0.04488,
  r6i: 0.063,
  r7a: 0.076075,
  r7i: 0.06615,
  r7g: 0.05355,
  r8g: 0.05891,
};

/** Dollars: aws.amazon.com/elasticloadbalancing, /vpc, /privatelink, /ebs, /secrets-manager and /cloudwatch pricing. */
const price = {
  loadBalancerHour: 0.0225,
  publicAddressHour: 0.005,
  natHour: 0.045,
  endpointHour: 0.01,
  volumeGbMonth: 0.08,
  secretMonth: 0.4,
  metricMonth: 0.3,
  alarmMonth: 0.1,
  dashboardMonth: 3,
};

export interface Fleet {
  instanceType: string;
  vcpus: number;
  minReplicas: number;
  maxReplicas: number;
  /** Of one instance. */
  volumeGb: number;
  zones: number;
  /** Interface endpoints in each zone; 0 with NAT, or in a VPC that is not the stack's. */
  endpoints: number;
  natGateways: number;
  alarms: number;
}

/**
 * Dollars a month, rounded up, with the fewest and the most instances, all on demand; spot ones cost about a third.
 * Without traffic, logs and the load balancer's capacity units, which go with use. Undefined: the instance type is not
 * in the table.
 */
export function monthlyCost(fleet: Fleet): { least: number; most: number } | undefined {
  const perVcpu = vcpuHour[familyOf(fleet.instanceType)];
  if (perVcpu === undefined) return undefined;
  const instance = perVcpu * fleet.vcpus * hoursPerMonth + price.volumeGbMonth * fleet.volumeGb;
  const hourly =
    price.loadBalancerHour +
    price.publicAddressHour * (fleet.zones + fleet.natGateways) +
    price.natHour * fleet.natGateways +
    price.endpointHour * fleet.endpoints * fleet.zones;
  const fixed = hourly * hoursPerMonth + price.secretMonth + 4 * price.metricMonth + price.alarmMonth * fleet.alarms;
  const shared = fixed + price.dashboardMonth;
  return {
    least: Math.ceil(shared + instance * fleet.minReplicas),
    most: Math.ceil(shared + instance * fleet.maxReplicas),
  };
}

/** For the stack's output. */
export function describeCost(fleet: Fleet): string {
  const cost = monthlyCost(fleet);
  const { instanceType, minReplicas, maxReplicas } = fleet;
  if (cost === undefined) return `not known: there is no price for ${instanceType} in components/aws/prices.ts`;
  return `$${cost.least} with ${minReplicas}, $${cost.most} with ${maxReplicas} instances on demand, plus traffic and logs (list prices of us-east-1, ${priceDate})`;
}
