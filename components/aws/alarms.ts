import type { Metric, Watched } from "./metrics.ts";
import { ofGateways, ofLoadBalancer } from "./metrics.ts";

/** An alarm as aws.cloudwatch.MetricAlarm takes it, without its recipients. */
export interface Alarm<T> extends Metric<T> {
  alarmDescription: string;
  comparisonOperator: "GreaterThanThreshold" | "LessThanThreshold";
  threshold: number;
  /** Seconds. */
  period: number;
  evaluationPeriods: number;
  /** How to treat missing data. */
  treatMissingData: "breaching" | "notBreaching";
}

/** How many alarms there are, for the cost estimate. */
export const alarmCount = 6;

/** The alarms that AWS creates for target tracking: one to scale out, one to scale in. */
export const trackingAlarmCount = 2;

/**
 * The alarms that roll back a rollout. "no-capacity" and "load-balancer-errors" are not among them: during a first
 * rollout they are, or may be, in alarm until the first task is there, because the load balancer answers every request
 * with 503. Errors that a new version returns come from its HAProxy and count in "server-errors"; a version that does
 * not start trips the circuit breaker.
 */
export const rollbackAlarms: readonly string[] = ["server-errors", "slow-first-token"];

/** The alarms by name. Each says what to do, because the recipient of the e-mail may know nothing else. */
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

/** More requests than the tasks can answer in reasonable time. */
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

/** No data means no requests, which is no reason for an alarm. */
function above(threshold: number, period: number, evaluationPeriods: number) {
  const how = { comparisonOperator: "GreaterThanThreshold", treatMissingData: "notBreaching" } as const;
  return { ...how, threshold, period, evaluationPeriods };
}
