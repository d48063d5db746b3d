import { times, type Account } from "./account.ts";
import type { Ending } from "./accessLog.ts";

/** Seconds between two lines, and between two looks at what is going on: a single moment says little of a slot. */
const interval = 10;
const sampleInterval = 1;

/** CloudWatch's units, by metric. */
const units = {
  /** Busy slots and waiting requests in percent of the slots: more than 100 where requests wait. The service scales by it. */
  Load: "Percent",
  BusySlots: "Count",
  WaitingRequests: "Count",
  Tokens: "Count",
  ServerErrors: "Count",
  TimeToFirstToken: "Seconds",
} as const;

type Name = keyof typeof units;

export interface EmbeddedMetricsOptions {
  namespace: string;
  service: string;
  slots: number;
  /** How many requests there are now. */
  requests: Readonly<{ waiting: number; running: number }>;
  write: (line: string) => void;
}

/**
 * Prints a line every ten seconds in CloudWatch's embedded metric format, out of which CloudWatch Logs makes metrics:
 * docs.aws.amazon.com, "Specification: Embedded metric format".
 */
export class EmbeddedMetrics {
  readonly #options: EmbeddedMetricsOptions;
  #samples: { busy: number; waiting: number }[] = [];
  #tokens = 0;
  #serverErrors = 0;
  #firstTokens: number[] = [];

  constructor(options: EmbeddedMetricsOptions) {
    this.#options = options;
  }

  /** @returns what ends it */
  start(): () => Promise<void> {
    const sampling = setInterval(() => {
      this.sample();
    }, sampleInterval * 1000);
    const printing = setInterval(() => {
      this.print(Date.now());
    }, interval * 1000);
    return () => {
      clearInterval(sampling);
      clearInterval(printing);
      return Promise.resolve();
    };
  }

  record(account: Account, { status }: Ending): void {
    this.#tokens += account.completionTokens;
    if (status >= 500) this.#serverErrors += 1;
    const { firstToken } = times(account);
    // A line has 100 values at most.
    if (firstToken !== undefined && this.#firstTokens.length < 100) this.#firstTokens.push(firstToken);
  }

  /** A request without a first token may have a slot already: as many as there are slots. */
  sample(): void {
    const { slots, requests } = this.#options;
    const all = requests.waiting + requests.running;
    const busy = Math.min(all, slots);
    this.#samples.push({ busy, waiting: all - busy });
  }

  /** @param now milliseconds since 1970 */
  print(now: number): void {
    const { namespace, service, slots, write } = this.#options;
    const busy = average(this.#samples.map((sample) => sample.busy));
    const waiting = average(this.#samples.map((sample) => sample.waiting));
    const values: Partial<Record<Name, number | number[]>> = {
      Load: (100 * (busy + waiting)) / slots,
      BusySlots: busy,
      WaitingRequests: waiting,
      Tokens: this.#tokens,
      ServerErrors: this.#serverErrors,
      ...(this.#firstTokens.length === 0 ? {} : { TimeToFirstToken: this.#firstTokens }),
    };
    const Metrics = Object.keys(values).map((Name) => ({ Name, Unit: units[Name as Name], StorageResolution: 1 }));
    const directive = { Namespace: namespace, Dimensions: [["ServiceName"]], Metrics };
    write(
      JSON.stringify({ _aws: { Timestamp: now, CloudWatchMetrics: [directive] }, ServiceName: service, ...values }),
    );
    this.#samples = [];
    this.#tokens = 0;
    this.#serverErrors = 0;
    this.#firstTokens = [];
  }
}

function average(numbers: readonly number[]): number {
  return numbers.length === 0 ? 0 : numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
}
