/**
 * What the dashboard shows. In queries `$window` is the span over which a rate is taken: a few points of the chart, and
 * never less than a few scrapes.
 */

/** What a number means, and so how it is written. */
export type Unit = "per second" | "seconds" | "count" | "bytes" | "percent";

/** One number, as it is now. */
export interface Tile {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  readonly query: string;
}

/** A line for each series that Prometheus answers with. */
export interface Query {
  readonly query: string;
  /** The line's name. `{{key}}` stands for the series' label of that name, `no key` where it is empty. */
  readonly legend: string;
}

export interface Chart {
  readonly title: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
}

/** HAProxy asks a gateway for /health several times a second. */
const requests = 'bitnet_gateway_requests_total{endpoint!="/health"}';
const failures = 'bitnet_gateway_requests_total{endpoint!="/health",status=~"[45].."}';
const firstToken = (labels: string) =>
  `sum by (${labels}) (rate(bitnet_gateway_time_to_first_token_seconds_bucket[$window]))`;

export const tiles: readonly Tile[] = [
  {
    id: "tokens-per-second",
    title: "Tokens per second",
    unit: "per second",
    query: "sum(rate(bitnet_gateway_completion_tokens_total[$window]))",
  },
  {
    id: "first-token",
    title: "Median time to first token",
    unit: "seconds",
    query: `histogram_quantile(0.5, ${firstToken("le")})`,
  },
  {
    id: "queue",
    title: "Waiting for a slot",
    unit: "count",
    query: 'sum(haproxy_backend_current_queue{proxy="replicas"})',
  },
  { id: "busy", title: "Busy slots", unit: "count", query: "sum(llamacpp:requests_processing)" },
  {
    id: "replicas",
    title: "Replicas ready",
    unit: "count",
    query: 'sum(haproxy_backend_active_servers{proxy="replicas"})',
  },
  {
    id: "errors",
    title: "Failed requests",
    unit: "percent",
    query: `(sum(rate(${failures}[$window])) or vector(0)) / sum(rate(${requests}[$window]))`,
  },
  // Of what the gateways have counted: a restart begins anew.
  { id: "tokens", title: "Tokens since start", unit: "count", query: "sum(bitnet_gateway_completion_tokens_total)" },
];

export const charts: readonly Chart[] = [
  {
    title: "Tokens written, by key",
    unit: "per second",
    queries: [{ query: "sum by (key) (rate(bitnet_gateway_completion_tokens_total[$window]))", legend: "{{key}}" }],
  },
  {
    title: "Tokens, by replica",
    unit: "per second",
    queries: [
      { query: "rate(llamacpp:tokens_predicted_total[$window])", legend: "{{instance}} written" },
      { query: "rate(llamacpp:prompt_tokens_total[$window])", legend: "{{instance}} read" },
    ],
  },
  {
    title: "Time to first token, by key",
    unit: "seconds",
    queries: [
      { query: `histogram_quantile(0.5, ${firstToken("le, key")})`, legend: "{{key}}, median" },
      { query: `histogram_quantile(0.95, ${firstToken("le, key")})`, legend: "{{key}}, 95 %" },
    ],
  },
  {
    title: "Queue",
    unit: "count",
    queries: [
      { query: 'sum(haproxy_backend_current_queue{proxy="replicas"})', legend: "waiting for a slot" },
      { query: "sum(bitnet_gateway_requests_waiting)", legend: "without a first token" },
      { query: "sum(bitnet_gateway_requests_running)", legend: "being answered" },
    ],
  },
  {
    title: "Busy slots, by replica",
    unit: "count",
    queries: [{ query: "llamacpp:requests_processing", legend: "{{instance}}" }],
  },
  {
    title: "Requests, by key",
    unit: "per second",
    queries: [{ query: `sum by (key) (rate(${requests}[$window]))`, legend: "{{key}}" }],
  },
  {
    title: "Errors, by key",
    unit: "per second",
    queries: [
      { query: `sum by (key, status) (rate(${failures}[$window]))`, legend: "{{key}}, {{status}}" },
      // Those of the load balancer's own as well.
      {
        query: 'sum(rate(haproxy_frontend_http_responses_total{proxy="edge",code="5xx"}[$window]))',
        legend: "all, 5xx",
      },
    ],
  },
  {
    title: "Memory",
    unit: "bytes",
    queries: [
      { query: "bitnet_replica_resident_memory_bytes", legend: "replica {{instance}}" },
      { query: 'process_resident_memory_bytes{job!="replica"}', legend: "{{instance}}" },
    ],
  },
];

/** What stands for a label that a series does not have, or has empty: a request without a key. */
const nameless = "no key";

/** The name of a line. */
export function legendOf(legend: string, labels: Readonly<Record<string, string>>): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => labels[name] || nameless);
}

/** @param step seconds between two points of a chart; a rate needs two scrapes, and one may fail */
export function withWindow(query: string, step: number): string {
  return query.replaceAll("$window", `${Math.max(30, 4 * step)}s`);
}

/** A number for people. */
export function show(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return "–";
  switch (unit) {
    case "bytes":
      return value >= 2 ** 30 ? `${short(value / 2 ** 30)} GiB` : `${short(value / 2 ** 20)} MiB`;
    case "percent":
      return `${short(100 * value)} %`;
    case "seconds":
      return value < 1 ? `${short(1000 * value)} ms` : `${short(value)} s`;
    case "per second":
    case "count":
      return short(value);
  }
}

function short(value: number): string {
  return value.toLocaleString("en", value < 100 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 });
}
