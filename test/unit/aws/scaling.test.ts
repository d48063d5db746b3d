import { expect, test } from "vitest";
import { mostTasks, rolloutPercent, scheduledAction, targetTracking } from "../../../components/aws/service/scaling.ts";

test("the service scales by busy slots and waiting requests together, fast up and slowly down", () => {
  const policy = targetTracking("bitnet-prod");
  expect(policy).toMatchObject({
    targetValue: 70,
    customizedMetricSpecification: {
      namespace: "BitnetServer",
      metricName: "Load",
      dimensions: [{ name: "ServiceName", value: "bitnet-prod" }],
    },
  });
  expect(policy.scaleOutCooldown).toBeLessThan(policy.scaleInCooldown);
});

test("a schedule becomes an action of AWS's form", () => {
  expect(scheduledAction({ cron: "0 19 ? * MON-FRI *", minReplicas: 1, maxReplicas: 2 })).toEqual({
    schedule: "cron(0 19 ? * MON-FRI *)",
    scalableTargetAction: { minCapacity: 1, maxCapacity: 2 },
  });
});

test.each([1, 2, 3, 5, 10])(
  "of %i replicas at least one can be new before an old one goes, and never all of several",
  (tasks) => {
    const atOnce = Math.floor((tasks * rolloutPercent({ minReplicas: tasks })) / 100) - tasks;
    expect(atOnce).toBeGreaterThanOrEqual(1);
    if (tasks > 1) expect(atOnce).toBeLessThan(tasks);
  },
);

test("the most tasks are those of a rollout under the highest load", () => {
  const most = (minReplicas: number, maxReplicas: number) => mostTasks({ minReplicas, maxReplicas });
  expect([most(1, 1), most(1, 4), most(2, 4)]).toEqual([2, 8, 6]);
});

test("a schedule that goes down to one replica, or up to more than the setting, counts as well", () => {
  const night = { minReplicas: 1, maxReplicas: 2 };
  const day = { minReplicas: 4, maxReplicas: 20 };
  expect(rolloutPercent({ minReplicas: 2, scaling: [day, night] })).toBe(200);
  expect(mostTasks({ minReplicas: 2, maxReplicas: 8, scaling: [night] })).toBe(16);
  expect(mostTasks({ minReplicas: 2, maxReplicas: 8, scaling: [day] })).toBe(30);
});
