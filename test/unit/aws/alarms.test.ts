import { expect, test } from "vitest";
import { alarmCount, alarms, rollbackAlarms } from "../../../components/aws/alarms.ts";
import { dashboard } from "../../../components/aws/dashboard.ts";
import { newAccount } from "../../../gateway/src/account.ts";
import { EmbeddedMetrics } from "../../../gateway/src/emf.ts";

const watched = {
  region: "eu-central-1",
  service: "bitnet-prod",
  loadBalancer: "app/fleet/0123456789abcdef",
  targetGroup: "targetgroup/fleet/0123456789abcdef",
  logGroup: "bitnet-prod",
};

test("errors, unhealthy tasks, slow first tokens, overload and no capacity raise an alarm, and each says what to do", () => {
  const all = alarms(watched);
  expect(Object.keys(all)).toEqual([
    "server-errors",
    "load-balancer-errors",
    "unhealthy",
    "no-capacity",
    "overload",
    "slow-first-token",
  ]);
  expect(Object.keys(all)).toHaveLength(alarmCount);
  for (const { alarmDescription } of Object.values(all)) expect(alarmDescription.length).toBeGreaterThan(40);
});

test("a rollout is undone by alarms that a first rollout does not raise by itself", () => {
  const all = alarms(watched);
  expect(rollbackAlarms.length).toBeGreaterThan(1);
  // The load balancer's own answers: 503 for as long as it has no task.
  for (const name of rollbackAlarms) expect(all[name]?.treatMissingData).toBe("notBreaching");
  for (const name of rollbackAlarms) expect(all[name]?.metricName).not.toMatch(/^HTTPCode_ELB|HostCount$/);
});

test("a fleet that nobody asks raises no alarm; a fleet that is not there does", () => {
  const missing = Object.entries(alarms(watched)).filter(([, alarm]) => alarm.treatMissingData === "breaching");
  expect(missing.map(([name]) => name)).toEqual(["no-capacity"]);
});

test("every metric of our own that an alarm or a graph looks at is one that the gateways send", () => {
  const body = JSON.parse(dashboard(watched)) as { widgets: { properties: { metrics?: string[][] } }[] };
  const shown = body.widgets.flatMap(({ properties }) => properties.metrics ?? []);
  const own = [
    ...shown.filter(([namespace]) => namespace === "BitnetServer").map(([, name]) => name),
    ...Object.values(alarms(watched))
      .filter(({ namespace }) => namespace === "BitnetServer")
      .map(({ metricName }) => metricName),
  ];
  expect(new Set(own)).toEqual(new Set(["Tokens", "Load", "BusySlots", "WaitingRequests", "TimeToFirstToken"]));
  const lines: string[] = [];
  const options = { namespace: "BitnetServer", service: "bitnet-prod", slots: 1 };
  const sent = new EmbeddedMetrics({
    ...options,
    requests: { waiting: 0, running: 0 },
    write: (line) => lines.push(line),
  });
  sent.record({ ...newAccount("1"), firstTokenAt: performance.now() }, { method: "POST", endpoint: "/", status: 200 });
  sent.print(0);
  expect(Object.keys(JSON.parse(lines[0] ?? "") as object)).toEqual(expect.arrayContaining(own));
});
