/** What the server container is told, whichever target runs it. docker/server/runtime/entrypoint.sh reads it. */
export interface ServerOptions {
  /** The name that the API reports. */
  modelAlias: string;
  /** Tokens of one conversation. */
  contextSize: number;
  /** Requests answered at once. */
  parallel: number;
  /** Default: the physical cores that the container may use, found out at start. */
  threads?: number | undefined;
  extraArgs: readonly string[];
}

/** The port of the server's API, in its container. */
export const serverPort = 8080;

/**
 * How long a replica that is told to stop goes on taking requests, in seconds: until the balancer has surely found the
 * replica that was started just before (one DNS query and one health check, a second each).
 */
export const drainDelay = 5;

/**
 * How long a replica that is told to stop may still take for its running requests, in seconds: as long as the balancer
 * waits for an answer.
 */
export const drainTimeout = 600;

/** The environment of docker/server/runtime/entrypoint.sh. */
export function serverEnvironment(options: ServerOptions): string[] {
  return [
    `MODEL_ALIAS=${options.modelAlias}`,
    `CONTEXT_SIZE=${options.contextSize}`,
    `PARALLEL=${options.parallel}`,
    ...(options.threads === undefined ? [] : [`THREADS=${options.threads}`]),
    ...(options.extraArgs.length === 0 ? [] : [`EXTRA_ARGS=${options.extraArgs.join("\n")}`]),
    `DRAIN_DELAY=${drainDelay}`,
    `DRAIN_TIMEOUT=${drainTimeout}`,
  ];
}
