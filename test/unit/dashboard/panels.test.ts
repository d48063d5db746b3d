import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { parse } from "yaml";
import { dnsNames } from "../../../components/serving/haproxy.ts";
import { ports } from "../../../components/serving/ports.ts";
import { charts, legendOf, show, tiles, withWindow } from "../../../dashboard/src/panels.ts";
import { Metrics } from "../../../gateway/src/metrics.ts";

const queries = [
  ...tiles.map(({ query }) => query),
  ...charts.flatMap((chart) => chart.queries.map(({ query }) => query)),
];

test("every metric of the gateway's that the dashboard asks for exists", async () => {
  const told = await new Metrics("model").registry.metrics();
  const names = new Set([...queries.join(" ").matchAll(/bitnet_gateway_\w+|\bprocess_\w+/g)].map(([name]) => name));
  expect(names.size).toBeGreaterThan(4);
  for (const name of names) expect(told).toContain(`# TYPE ${name.replace(/_bucket$/, "")} `);
});

test("tokens, times, requests and errors are shown by key; tokens, slots and memory by replica", () => {
  const told = (part: string) => charts.filter(({ title }) => title.endsWith(part)).map(({ title }) => title);
  expect(told("by key")).toHaveLength(4);
  expect(told("by replica")).toHaveLength(2);
  expect(queries.join(" ")).toContain("bitnet_replica_resident_memory_bytes");
});

test("a rate is taken over four points, and never over less than half a minute", () => {
  expect(withWindow("rate(a[$window]) / rate(b[$window])", 5)).toBe("rate(a[30s]) / rate(b[30s])");
  expect(withWindow("rate(a[$window])", 60)).toBe("rate(a[240s])");
});

test.each([
  [{ key: "web", status: "429" }, "web, 429"],
  [{ key: "", status: "200" }, "no key, 200"],
])("a line of %o is called %s", (labels, name) => {
  expect(legendOf("{{key}}, {{status}}", labels)).toBe(name);
});

test.each([
  [0.0421, "seconds", "42.1 ms"],
  [12, "seconds", "12 s"],
  [1_234_567, "count", "1,234,567"],
  [0.05, "percent", "5 %"],
  [3 * 2 ** 29, "bytes", "1.5 GiB"],
  [Number.NaN, "per second", "–"],
] as const)("%d %s is written as %s", (value, unit, text) => {
  expect(show(value, unit)).toBe(text);
});

test("Prometheus asks for the names and ports that the containers have", () => {
  const job = z.object({
    job_name: z.string(),
    dns_sd_configs: z.array(z.object({ names: z.array(z.string()), port: z.number() })).optional(),
  });
  const text = readFileSync("docker/monitoring/prometheus.yml", "utf8");
  const { scrape_configs: jobs } = z.object({ scrape_configs: z.array(job) }).parse(parse(text));
  const asked = jobs.flatMap(({ job_name: name, dns_sd_configs: [found] = [] }) =>
    found === undefined ? [] : [[name, found.names, found.port]],
  );
  expect(asked).toEqual([
    ["gateway", dnsNames.gateways, ports.gatewayMetrics],
    ["haproxy", ["haproxy"], ports.statistics],
    ["replica", [dnsNames.replicas], ports.server],
    ["memory", [dnsNames.replicas], ports.serverMetrics],
  ]);
});
