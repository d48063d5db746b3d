/** How long a source may take to answer, in ms. A firewall that drops packets costs this once, all sources at a time. */
const patience = 4000;

/** What an open network has and `npm run up` would use. Each answers its address to anyone, Docker Hub with a 401. */
const sources = {
  "Docker Hub": "https://registry-1.docker.io/v2/",
  "Hugging Face": "https://huggingface.co/robots.txt",
  GitHub: "https://github.com/robots.txt",
  Pulumi: "https://get.pulumi.com/",
} as const;

export type Source = keyof typeof sources;

export const sourceNames = Object.keys(sources) as Source[];

/** Which sites this machine's network reaches. */
export interface Network {
  canReach(source: Source): boolean;
  /** Why a source cannot be reached; undefined if it can. */
  whyNot(source: Source): string | undefined;
  /** Whether every source can be reached. */
  readonly open: boolean;
  /** Whether none can. */
  readonly closed: boolean;
  /** For people: which sources could not be reached and why; empty if all could. */
  readonly reason: string;
}

/**
 * Asks every source, all at once.
 * @param get fetches an address; default `fetch`
 */
export async function probeNetwork(get: typeof fetch = fetch): Promise<Network> {
  const found = new Map(
    await Promise.all(sourceNames.map(async (name) => [name, await whyNot(sources[name], get)] as const)),
  );
  const missing = sourceNames.filter((name) => found.get(name) !== undefined);
  const reasons = [...new Set(missing.map((name) => found.get(name)))];
  return {
    canReach: (source) => found.get(source) === undefined,
    whyNot: (source) => found.get(source),
    open: missing.length === 0,
    closed: missing.length === sourceNames.length,
    reason: missing.length === 0 ? "" : `cannot reach ${missing.join(", ")} (${reasons.join("; ")})`,
  };
}

/** @returns why an address cannot be used; undefined if it can */
async function whyNot(url: string, get: typeof fetch): Promise<string | undefined> {
  try {
    const { status } = await get(url, { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(patience) });
    // A proxy that blocks a site answers 403 or 5xx in its place.
    return status < 400 || status === 401 ? undefined : `HTTP ${status}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const cause = error.cause as NodeJS.ErrnoException | undefined;
    return error.name === "TimeoutError" ? `no answer within ${patience / 1000} s` : (cause?.code ?? error.message);
  }
}
