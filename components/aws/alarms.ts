import type { Metric, Watched } from "./metrics.ts";
import { ofGateways, ofLoadBalancer } from "./metrics.ts";

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
  return { ...errorAlarms(watched), ...healthAlarms(watched), ...loadAlarms(watched) };
}

/** Requests that failed. */
function errorAlarms<T>(watched: Watched<T>): Record<string, Alarm<T>> {
  return {
    "server-errors": {
      ...ofLoadBalancer("HTTPCode_Target_5XX_Count", watched, "Sum"),
      alarmDescription: "Tasks answer with errors. Look at the log group's streams task/server and task/gateway.",
      ...above(5, 60, 2),
    },
    "load-balancer-errors": {
      ...ofLoadBalancer("HTTPCode_ELB_5XX_Count", watched, "Sum"),
      dimensions: { LoadBalancer: watched.loadBalancer },
      alarmDescription: "The load balancer finds no task that answers. Look at the target group's health.",
      ...above(5, 60, 2),
    },
  };
}

/** Tasks that cannot take requests. */
function healthAlarms<T>(watched: Watched<T>): Record<string, Alarm<T>> {
  return {
    unhealthy: {
      ...ofLoadBalancer("UnHealthyHostCount", watched, "Maximum"),
      alarmDescription: "A task has been unhealthy for ten minutes and was not replaced. See the service's events.",
      ...above(0, 60, 10),
    },
    "no-capacity": {
      ...ofLoadBalancer("HealthyHostCount", watched, "Minimum"),
      alarmDescription: "No task can take requests. See the service's events and stopped tasks.",
      comparisonOperator: "LessThanThreshold",
      threshold: 1,
      period: 60,
      evaluationPeriods: 3,
      treatMissingData: "breaching",
    },
  };
}

/** More requests than the tasks can answer in good time. */
function loadAlarms<T>(watched: Watched<T>): Record<string, Alarm<T>> {
  return {
    overload: {
      ...ofGateways("Load", watched, "Average"),
      alarmDescription: "More requests wait than are answered, for 15 minutes: raise maxReplicas.",
      ...above(200, 60, 15),
    },
    "slow-first-token": {
      ...ofGateways("TimeToFirstToken", watched, "Average"),
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
