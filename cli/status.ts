import Table from "cli-table3";
import { z } from "zod";
import { duration } from "./duration.ts";
import { containerName, stackContainers } from "./stackContainers.ts";

/** A replica as HAProxy sees it. */
export interface Replica {
  readonly name: string;
  /** Such as UP, DOWN, DRAIN. */
  readonly state: string;
  /** Seconds that it has been in this state. */
  readonly since: number;
  /** Requests that it is answering, and the most that it answers at once. */
  readonly busy: number;
  readonly slots: number;
}

/** What the gateways have counted since they started. */
export interface Usage {
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of one stream, on average; undefined: none was written. */
  readonly tokensPerSecond: number | undefined;
}

export interface Container {
  readonly name: string;
  /** In Docker's words, such as "Up 3 minutes (healthy)". */
  readonly status: string;
}

/** What there is of a stack that is up. Without the load balancer's statistics, as on AWS, there is less. */
export interface Status {
  readonly containers: readonly Container[];
  readonly replicas?: readonly Replica[];
  /** Requests that wait for a free slot. */
  readonly waiting?: number;
  readonly usage?: Usage;
}

/**
 * Finds out what a stack is doing.
 * @param id the stack's id
 * @param statsUrl the load balancer's statistics; undefined if they cannot be reached
 */
export async function look(id: string | undefined, statsUrl: string | undefined): Promise<Status> {
  const containers = await containersOf(id);
  if (statsUrl === undefined) return { containers };
  const [statistics, ...metrics] = await Promise.all(
    [";csv", "gateway-1/metrics", "gateway-2/metrics"].map((path) => read(`${statsUrl}${path}`)),
  );
  return { containers, ...parseStatistics(statistics ?? ""), usage: parseMetrics(metrics.join("\n")) };
}

async function containersOf(id: string | undefined): Promise<Container[]> {
  if (id === undefined) return [];
  return (await stackContainers(id))
    .map((container) => ({ name: containerName(container), status: container.Status }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** "" where nobody answers: what can be seen is told all the same. */
async function read(url: string): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
  return answer?.ok === true ? answer.text() : "";
}

const row = z.object({
  pxname: z.string(),
  svname: z.string(),
  status: z.string(),
  lastchg: z.coerce.number(),
  scur: z.coerce.number(),
  slim: z.coerce.number(),
  qcur: z.coerce.number(),
});

/**
 * Of HAProxy's statistics (its management guide, 9.1, "CSV format") what concerns the replicas. Servers under
 * maintenance are places that no replica has taken.
 */
export function parseStatistics(csv: string): { replicas: Replica[]; waiting: number } {
  const [head = "", ...lines] = csv.replace(/^# /, "").trim().split("\n");
  const names = head.split(",");
  const rows = lines
    .map((line) => Object.fromEntries(line.split(",").map((value, index) => [names[index] ?? "", value])))
    .filter(({ pxname, svname }) => pxname === "replicas" && svname !== undefined)
    .map((fields) => row.parse(fields));
  const servers = rows.filter(({ svname, status }) => svname !== "BACKEND" && !status.startsWith("MAINT"));
  return {
    replicas: servers.map(({ svname: name, status: state, lastchg: since, scur: busy, slim: slots }) => {
      return { name, state, since, busy, slots };
    }),
    waiting: rows.find(({ svname }) => svname === "BACKEND")?.qcur ?? 0,
  };
}

/** @param text what all gateways tell Prometheus */
export function parseMetrics(text: string): Usage {
  const total = (name: string) =>
    [...text.matchAll(new RegExp(`^bitnet_gateway_${name}(\\{.*\\})? (\\S+)$`, "gm"))]
      // HAProxy asks for that one, several times a second.
      .filter(([, labels = ""]) => !labels.includes('endpoint="/health"'))
      .reduce((sum, [, , value]) => sum + Number(value), 0);
  const [answers, seconds] = [total("time_per_token_seconds_count"), total("time_per_token_seconds_sum")];
  return {
    requests: total("requests_total"),
    promptTokens: total("prompt_tokens_total"),
    completionTokens: total("completion_tokens_total"),
    tokensPerSecond: seconds === 0 ? undefined : answers / seconds,
  };
}

/** For people. */
export function describeStatus({ containers, replicas, waiting = 0, usage }: Status): string {
  const sections = [
    table(
      ["container", "status"],
      containers.map(({ name, status }) => [name, status]),
    ),
  ];
  if (replicas !== undefined) {
    const rows = replicas.map(({ name, state, busy, slots, since }) => {
      return [name, state, `${busy} of ${slots}`, duration(since * 1000)];
    });
    sections.push(table(["replica", "state", "slots busy", "since"], rows), `requests waiting: ${waiting}`);
  }
  if (usage !== undefined) sections.push(describeUsage(usage));
  return sections.join("\n\n");
}

function describeUsage({ requests, promptTokens, completionTokens, tokensPerSecond }: Usage): string {
  const speed = tokensPerSecond === undefined ? "" : `, ${tokensPerSecond.toFixed(1)} tokens/s per stream`;
  const [asked, read, written] = [requests, promptTokens, completionTokens].map((count) => count.toLocaleString("en"));
  return `since the gateways started: ${asked} requests, ${read} tokens read, ${written} written${speed}`;
}

/** Columns two spaces apart, without lines and colours. */
const plain = {
  chars: Object.fromEntries(
    ["top", "bottom", "left", "right"]
      .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
      .concat("mid", "mid-mid")
      .map((part) => [part, ""]),
  ),
  style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
};

function table(head: string[], rows: string[][]): string {
  const table = new Table({ ...plain, chars: { ...plain.chars, middle: "  " }, head });
  table.push(...rows);
  return table.toString().replaceAll(/ +$/gm, "");
}
