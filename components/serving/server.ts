import { drainDelay, drainTimeout } from "./timeouts.ts";

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
  /** The question that a replica answers before it is ready. Default: docker/server/runtime/entrypoint.sh's. */
  smokePrompt?: string | undefined;
  /** The exact answer expected. Default: any text will do. */
  smokeAnswer?: string | undefined;
}

/** The environment of docker/server/runtime/entrypoint.sh. */
export function serverEnvironment(options: ServerOptions): string[] {
  return [
    `MODEL_ALIAS=${options.modelAlias}`,
    `CONTEXT_SIZE=${options.contextSize}`,
    `PARALLEL=${options.parallel}`,
    ...(options.threads === undefined ? [] : [`THREADS=${options.threads}`]),
    ...(options.extraArgs.length === 0 ? [] : [`EXTRA_ARGS=${options.extraArgs.join("\n")}`]),
    ...(options.smokePrompt === undefined ? [] : [`SMOKE_PROMPT=${options.smokePrompt}`]),
    ...(options.smokeAnswer === undefined ? [] : [`SMOKE_ANSWER=${options.smokeAnswer}`]),
    `DRAIN_DELAY=${drainDelay}`,
    `DRAIN_TIMEOUT=${drainTimeout}`,
  ];
}
