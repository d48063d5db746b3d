import { pino, type DestinationStream, type Logger } from "pino";
import { times, type Account } from "./account.ts";

/** One JSON line each, with the time; no process id and no host name, which containers' logs have themselves. */
export function newLogger(destination?: DestinationStream): Logger {
  const options = {
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** How a request ended. */
export interface Ending {
  method: string;
  /** The route, not what was typed. */
  endpoint: string;
  /** 499: the client left before the answer was complete. */
  status: number;
}

/** One line for each request: no prompt, no answer, no key. */
export function logRequest(log: Logger, account: Account, ending: Ending): void {
  const { firstToken } = times(account);
  log.info(
    {
      requestId: account.id,
      client: account.client,
      ...ending,
      key: account.key?.name,
      seconds: rounded((performance.now() - account.startedAt) / 1000),
      firstTokenSeconds: firstToken === undefined ? undefined : rounded(firstToken),
      promptTokens: account.promptTokens,
      cachedTokens: account.cachedTokens,
      completionTokens: account.completionTokens,
      replica: [...account.replicas].join(",") || undefined,
      error: account.error,
    },
    "request",
  );
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
