// Prometheus' HTTP API, on the page's own origin: https://prometheus.io/docs/prometheus/latest/querying/api/

/** One line of a chart. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Unix seconds and a number as text, such as "NaN". */
  readonly values: readonly (readonly [time: number, value: string])[];
}

interface Answer {
  readonly data: {
    readonly result: readonly {
      readonly metric: Record<string, string>;
      readonly value?: readonly [number, string];
      readonly values?: readonly [number, string][];
    }[];
  };
}

/** The series' values now. @throws Error if Prometheus does not answer, or refuses the query */
export async function now(query: string): Promise<Series[]> {
  return ask("query", { query });
}

/** The series' values at start, start + step, … end, in Unix seconds. @throws Error as `now` does */
export async function between(query: string, start: number, end: number, step: number): Promise<Series[]> {
  return ask("query_range", { query, start: String(start), end: String(end), step: String(step) });
}

async function ask(endpoint: string, parameters: Record<string, string>): Promise<Series[]> {
  const response = await fetch(`/api/v1/${endpoint}?${new URLSearchParams(parameters).toString()}`, {
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`Prometheus answers ${response.status}: ${await response.text()}`);
  const { data } = (await response.json()) as Answer;
  return data.result.map(({ metric, value, values }) => ({ labels: metric, values: values ?? (value ? [value] : []) }));
}
