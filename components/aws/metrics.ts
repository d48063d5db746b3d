/** What the metrics are about; `T` is a string, or a Pulumi input that becomes one. */
export interface Watched<T = string> {
  region: T;
  /** The ECS service's name. */
  service: T;
  /** The last part of the load balancer's and the target group's ARN, which is their name in CloudWatch. */
  loadBalancer: T;
  targetGroup: T;
  logGroup: T;
}

/** The namespace of the gateways' metrics: gateway/src/emf.ts. */
export const metricNamespace = "BitnetServer";

type Statistic = "Average" | "Maximum" | "Minimum" | "Sum";

/** One number over time: a metric, and how a minute's values are combined into one. */
export interface Metric<T> {
  namespace: string;
  metricName: string;
  dimensions: Record<string, T>;
  statistic?: Statistic | undefined;
  extendedStatistic?: `p${number}`;
}

/** What the gateways count, for all tasks together. */
export function ofGateways<T>(metricName: string, { service }: Watched<T>, statistic: Statistic): Metric<T> {
  return { namespace: metricNamespace, metricName, dimensions: { ServiceName: service }, statistic };
}

/** What the load balancer counts about the tasks behind it. */
export function ofLoadBalancer<T>(metricName: string, watched: Watched<T>, statistic: Statistic): Metric<T> {
  const dimensions = { LoadBalancer: watched.loadBalancer, TargetGroup: watched.targetGroup };
  return { namespace: "AWS/ApplicationELB", metricName, dimensions, statistic };
}
