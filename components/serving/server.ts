import { drainDelay, drainTimeout } from "./timeouts.ts";

/** The settings of the server container, whichever target runs it. docker/server/runtime/entrypoint.sh reads them. */
export interface ServerOptions {
  /** The model's name in the API. */
  modelAlias: string;
  /** Maximum tokens per conversation. */
  contextSize: number;
  /** Requests answered at once. */
  parallel: number;
  /** Default: the physical cores that the container may use, determined at start. */
  threads?: number | undefined;
  extraArgs: readonly string[];
  /** The question that a replica answers before it is ready. Default: docker/server/runtime/entrypoint.sh's. */
  smokePrompt?: string | undefined;
  /** The exact answer expected. Default: any text passes. */
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
