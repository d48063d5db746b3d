import { expect, test } from "vitest";
import { alarmCount, alarms, dashboard } from "../../../components/aws/monitoringBodies.ts";
import { userData } from "../../../components/aws/userData.ts";
import { description } from "./description.ts";

const watched = {
  region: "eu-central-1",
  group: "bitnet-prod",
  loadBalancer: "app/fleet/0123456789abcdef",
  targetGroup: "targetgroup/fleet/0123456789abcdef",
  logGroup: "bitnet-prod",
};

test("errors, unhealthy instances, latency, overload and no capacity raise an alarm, and each says what to do", () => {
  const all = alarms(watched);
  expect(Object.keys(all)).toEqual([
    "server-errors",
    "load-balancer-errors",
    "unhealthy",
    "no-capacity",
    "overload",
    "latency",
  ]);
  expect(Object.keys(all)).toHaveLength(alarmCount);
  for (const { alarmDescription } of Object.values(all)) expect(alarmDescription.length).toBeGreaterThan(40);
});

test("a fleet that nobody asks raises no alarm; a fleet that is not there does", () => {
  const missing = Object.entries(alarms(watched)).filter(([, alarm]) => alarm.treatMissingData === "breaching");
  expect(missing.map(([name]) => name)).toEqual(["no-capacity"]);
});

test("every metric of our own that an alarm or a graph looks at is one that the instances send", () => {
  const body = JSON.parse(dashboard(watched)) as { widgets: { properties: { metrics?: string[][] } }[] };
  const shown = body.widgets.flatMap(({ properties }) => properties.metrics ?? []);
  const own = [
    ...shown.filter(([namespace]) => namespace === "BitnetServer").map(([, name]) => name),
    ...Object.values(alarms(watched))
      .filter(({ namespace }) => namespace === "BitnetServer")
      .map(({ metricName }) => metricName),
  ];
  expect(new Set(own)).toEqual(new Set(["TokensPerSecond", "Load", "BusySlots", "WaitingRequests"]));
  for (const name of own) expect(userData(description)).toMatch(new RegExp(`[ "]${name ?? ""}:`));
});
