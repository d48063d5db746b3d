import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import { times, type Account } from "./account.ts";
import type { Ending } from "./accessLog.ts";

/** The Prometheus metrics, served on a port of their own. */
export class Metrics {
  readonly registry = new Registry();
  private readonly model: string;
  private readonly answered = this.counter("requests_total", "Requests answered.", ["endpoint", "status"]);
  private readonly promptTokens = this.counter("prompt_tokens_total", "Tokens read.");
  private readonly cachedTokens = this.counter(
    "cached_tokens_total",
    "Of these, tokens that the replica had in memory.",
  );
  private readonly completionTokens = this.counter("completion_tokens_total", "Tokens written.");
  private readonly firstToken = this.histogram(
    "time_to_first_token_seconds",
    "From the request to its first token, waiting included.",
    [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
  );
  private readonly perToken = this.histogram(
    "time_per_token_seconds",
    "For each token after the first.",
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5],
  );
  private readonly waiting = this.gauge(
    "requests_waiting",
    "Requests without a first token: in the queue, or being read.",
  );
  /** The same two numbers, for whoever looks often. */
  readonly requests = { waiting: 0, running: 0 };
  private readonly running = this.gauge("requests_running", "Requests whose answer is being written.");

  constructor(model: string) {
    this.model = model;
    collectDefaultMetrics({ register: this.registry });
  }

  record(account: Account, { endpoint, status }: Ending): void {
    const who = { model: this.model, key: account.key?.name ?? "" };
    this.answered.inc({ ...who, endpoint, status });
    this.promptTokens.inc(who, account.promptTokens);
    this.cachedTokens.inc(who, account.cachedTokens);
    this.completionTokens.inc(who, account.completionTokens);
    const { firstToken, perToken } = times(account);
    if (firstToken !== undefined) this.firstToken.observe(who, firstToken);
    if (perToken !== undefined) this.perToken.observe(who, perToken);
  }

  /** Counts a request among those that wait, then among those that are answered. */
  follow(): { begun: () => void; over: () => void } {
    let state: "waiting" | "running" = "waiting";
    const count = (by: 1 | -1) => {
      this[state].inc(by);
      this.requests[state] += by;
    };
    count(1);
    return {
      begun: () => {
        if (state === "running") return;
        count(-1);
        state = "running";
        count(1);
      },
      over: () => {
        count(-1);
      },
    };
  }

  private counter(name: string, help: string, labels: readonly string[] = []) {
    const labelNames = ["model", "key", ...labels];
    return new Counter({ name: `bitnet_gateway_${name}`, help, labelNames, registers: [this.registry] });
  }

  private histogram(name: string, help: string, buckets: number[]) {
    const labelNames = ["model", "key"];
    return new Histogram({ name: `bitnet_gateway_${name}`, help, labelNames, buckets, registers: [this.registry] });
  }

  private gauge(name: string, help: string) {
    return new Gauge({ name: `bitnet_gateway_${name}`, help, registers: [this.registry] });
  }
}
