import { metricNamespace } from "../monitoringBodies.ts";

/** Percent of slots that are busy, with the requests that wait: at 70 a task is started before anyone waits long. */
const targetLoad = 70;

/**
 * A policy as aws.appautoscaling.Policy takes it. Running requests alone are capped by the slots: a full fleet would look
 * like one that is just busy enough. What waits counts as well.
 * @param service the value of the metric's dimension
 */
export function targetTracking(service: string) {
  return {
    targetValue: targetLoad,
    scaleOutCooldown: 60,
    scaleInCooldown: 300,
    customizedMetricSpecification: {
      namespace: metricNamespace,
      metricName: "Load",
      statistic: "Average",
      dimensions: [{ name: "ServiceName", value: service }],
    },
  };
}

/** Other limits from a moment on. */
export interface Schedule {
  /** Six fields: minute, hour, day of month, month, day of week, year. UTC. */
  cron: string;
  minReplicas: number;
  maxReplicas: number;
}

/** As aws.appautoscaling.ScheduledAction takes it. */
export function scheduledAction({ cron, minReplicas, maxReplicas }: Schedule) {
  return { schedule: `cron(${cron})`, scalableTargetAction: { minCapacity: minReplicas, maxCapacity: maxReplicas } };
}

/**
 * How many percent of the tasks there may be while a version is rolled out: with one, the new one beside it; with more,
 * half as many again, so that a version that is healthy but wrong has reached half of the fleet when the alarms see it.
 */
export function rolloutPercent(minReplicas: number): number {
  return minReplicas === 1 ? 200 : 150;
}

/** The most tasks that there are at any time. */
export function mostTasks(minReplicas: number, maxReplicas: number): number {
  return Math.floor((maxReplicas * rolloutPercent(minReplicas)) / 100);
}
