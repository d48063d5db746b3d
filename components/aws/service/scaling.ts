import { metricNamespace } from "../metrics.ts";

/** Busy slots and waiting requests, as a percentage of the slots: at 70, a task starts before anyone waits long. */
const targetLoad = 70;

/**
 * A policy as aws.appautoscaling.Policy takes it. Running requests alone are capped by the slots, so a full fleet would
 * look like one that is just busy enough. Waiting requests therefore count as well.
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

/** Other limits from a given time on. */
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

/** The limits between which the service scales. */
export interface Limits {
  minReplicas: number;
  maxReplicas: number;
  /** Other limits on a schedule. */
  scaling?: readonly Pick<Schedule, "minReplicas" | "maxReplicas">[] | undefined;
}

/**
 * How many tasks there may be during a rollout, in percent. With one task, the new one starts beside it; with more,
 * there may be half as many again, so a version that is healthy but wrong has reached half of the fleet when the alarms
 * see it. The lowest minimum of any schedule counts: 150 % of one task is one, rounded down, and nothing would be
 * replaced.
 */
export function rolloutPercent({ minReplicas, scaling = [] }: Omit<Limits, "maxReplicas">): number {
  return fewestReplicas({ minReplicas, scaling }) === 1 ? 200 : 150;
}

/** The fewest replicas, by the setting or a schedule. */
export function fewestReplicas({ minReplicas, scaling = [] }: Omit<Limits, "maxReplicas">): number {
  return Math.min(minReplicas, ...scaling.map((schedule) => schedule.minReplicas));
}

/** The most replicas, by the setting or a schedule, outside of rollouts. */
export function mostReplicas({ maxReplicas, scaling = [] }: Omit<Limits, "minReplicas">): number {
  return Math.max(maxReplicas, ...scaling.map((schedule) => schedule.maxReplicas));
}

/** The most tasks that exist at any time. */
export function mostTasks(limits: Limits): number {
  return Math.floor((mostReplicas(limits) * rolloutPercent(limits)) / 100);
}
