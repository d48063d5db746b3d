/** What is watched; `T` is a string, or a Pulumi input that will be one. */
export interface Watched<T = string> {
  region: T;
  /** The ECS service's name. */
  service: T;
  /** The last part of the load balancer's and the target group's ARN, as CloudWatch names them. */
  loadBalancer: T;
  targetGroup: T;
  logGroup: T;
}

/** The namespace of the gateways' metrics: gateway/src/emf.ts. */
export const metricNamespace = "BitnetServer";

type Statistic = "Average" | "Maximum" | "Minimum" | "Sum";

/** One number over time: a metric, and how its values of a minute become one. */
interface Metric<T> {
  namespace: string;
  metricName: string;
  dimensions: Record<string, T>;
  statistic?: Statistic | undefined;
  extendedStatistic?: `p${number}`;
}

/** An alarm as aws.cloudwatch.MetricAlarm takes it, without whom it tells. */
export interface Alarm<T> extends Metric<T> {
  alarmDescription: string;
  comparisonOperator: "GreaterThanThreshold" | "LessThanThreshold";
  threshold: number;
  /** Seconds. */
  period: number;
  evaluationPeriods: number;
  /** What it means that nothing was measured. */
  treatMissingData: "breaching" | "notBreaching";
}

/** Of the gateways. */
function own<T>(metricName: string, { service }: Watched<T>, statistic: Statistic): Metric<T> {
  return { namespace: metricNamespace, metricName, dimensions: { ServiceName: service }, statistic };
}

function balancing<T>(metricName: string, watched: Watched<T>, statistic: Statistic): Metric<T> {
  const dimensions = { LoadBalancer: watched.loadBalancer, TargetGroup: watched.targetGroup };
  return { namespace: "AWS/ApplicationELB", metricName, dimensions, statistic };
}

/** How many there are, for the bill. */
export const alarmCount = 6;

/** Those that AWS makes for target tracking: one to add instances, one to remove them. */
export const trackingAlarmCount = 2;

/**
 * The alarms that undo a rollout. "no-capacity" and "load-balancer-errors" are none of them: at a first rollout they are,
 * or may be, in alarm until the first task is there, as the load balancer answers whoever asks with 503. What a new
 * version answers wrongly comes from its HAProxy, and is in "server-errors"; one that does not start meets the circuit
 * breaker.
 */
export const rollbackAlarms: readonly string[] = ["server-errors", "slow-first-token"];

/** The alarms by name. Each says what to do, because whoever gets the e-mail may know nothing else. */
export function alarms<T>(watched: Watched<T>): Record<string, Alarm<T>> {
  const wholeBalancer = { LoadBalancer: watched.loadBalancer };
  return {
    "server-errors": {
      ...balancing("HTTPCode_Target_5XX_Count", watched, "Sum"),
      alarmDescription: "Tasks answer with errors. Look at the log group's streams task/server and task/gateway.",
      ...above(5, 60, 2),
    },
    "load-balancer-errors": {
      ...balancing("HTTPCode_ELB_5XX_Count", watched, "Sum"),
      dimensions: wholeBalancer,
      alarmDescription: "The load balancer finds no task that answers. Look at the target group's health.",
      ...above(5, 60, 2),
    },
    unhealthy: {
      ...balancing("UnHealthyHostCount", watched, "Maximum"),
      alarmDescription: "A task has been unhealthy for ten minutes and was not replaced. See the service's events.",
      ...above(0, 60, 10),
    },
    "no-capacity": {
      ...balancing("HealthyHostCount", watched, "Minimum"),
      alarmDescription: "No task can take requests. See the service's events and stopped tasks.",
      comparisonOperator: "LessThanThreshold",
      threshold: 1,
      period: 60,
      evaluationPeriods: 3,
      treatMissingData: "breaching",
    },
    overload: {
      ...own("Load", watched, "Average"),
      alarmDescription: "More requests wait than are answered, for 15 minutes: raise maxReplicas.",
      ...above(200, 60, 15),
    },
    "slow-first-token": {
      ...own("TimeToFirstToken", watched, "Average"),
      statistic: undefined,
      extendedStatistic: "p95",
      alarmDescription: "One request in twenty waits more than a minute for its first token.",
      ...above(60, 60, 5),
    },
  };
}

/** Nothing measured means nothing asked: no reason for an alarm. */
function above(threshold: number, period: number, evaluationPeriods: number) {
  const how = { comparisonOperator: "GreaterThanThreshold", treatMissingData: "notBreaching" } as const;
  return { ...how, threshold, period, evaluationPeriods };
}

/** The dashboard, as CloudWatch takes it: docs.aws.amazon.com, CloudWatch-Dashboard-Body-Structure. */
export function dashboard(watched: Watched): string {
  const graph = (title: string, ...metrics: Metric<string>[]) => ({ title, metrics });
  const graphs = [
    graph("Tokens a minute, all tasks", own("Tokens", watched, "Sum")),
    graph("Load: busy slots and waiting requests, % of slots", own("Load", watched, "Average")),
    graph(
      "Busy slots, waiting requests, on average",
      own("BusySlots", watched, "Average"),
      own("WaitingRequests", watched, "Average"),
    ),
    graph(
      "Healthy and unhealthy tasks",
      balancing("HealthyHostCount", watched, "Minimum"),
      balancing("UnHealthyHostCount", watched, "Maximum"),
    ),
    graph(
      "Requests and errors",
      balancing("RequestCount", watched, "Sum"),
      balancing("HTTPCode_Target_4XX_Count", watched, "Sum"),
      balancing("HTTPCode_Target_5XX_Count", watched, "Sum"),
    ),
    graph("Seconds to the first token", own("TimeToFirstToken", watched, "Average")),
  ];
  const widgets = graphs.map(({ title, metrics }, index) => ({
    type: "metric",
    width: 12,
    height: 6,
    x: (index % 2) * 12,
    y: Math.floor(index / 2) * 6,
    properties: {
      title,
      region: watched.region,
      view: "timeSeries",
      period: 60,
      metrics: metrics.map(({ namespace, metricName, dimensions, statistic }) => [
        namespace,
        metricName,
        ...Object.entries(dimensions).flat(),
        { stat: statistic },
      ]),
    },
  }));
  const log = {
    type: "log",
    width: 24,
    height: 6,
    x: 0,
    y: Math.ceil(graphs.length / 2) * 6,
    properties: {
      title: "What the servers said last",
      region: watched.region,
      query: `SOURCE '${watched.logGroup}' | filter @logStream like /task.server/ | fields @timestamp, @message | sort @timestamp desc | limit 50`,
    },
  };
  return JSON.stringify({ widgets: [...widgets, log] });
}
