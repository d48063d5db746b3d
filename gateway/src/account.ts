import type { ApiKey } from "./config.ts";

/** What is remembered of one request, for the log and the metrics: who, what, how much, how long. No text. */
export interface Account {
  id: string;
  /** The client's address, as HAProxy saw it. */
  client: string | undefined;
  /** performance.now() when it came, when the first token was there, and when the last was. */
  startedAt: number;
  firstTokenAt: number | undefined;
  lastTokenAt: number | undefined;
  key: ApiKey | undefined;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  /** Which replicas answered. */
  replicas: Set<string>;
  /** `code` or `type` of the error that it was answered with, also in the middle of a stream. */
  error: string | undefined;
}

export function newAccount(id: string, client?: string): Account {
  return {
    id,
    client,
    startedAt: performance.now(),
    firstTokenAt: undefined,
    lastTokenAt: undefined,
    key: undefined,
    promptTokens: 0,
    cachedTokens: 0,
    completionTokens: 0,
    replicas: new Set(),
    error: undefined,
  };
}

/** Seconds until the first token, and for each one after it; undefined where there was none. */
export function times(account: Account): { firstToken: number | undefined; perToken: number | undefined } {
  const { startedAt, firstTokenAt, lastTokenAt, completionTokens } = account;
  if (firstTokenAt === undefined) return { firstToken: undefined, perToken: undefined };
  const after = ((lastTokenAt ?? firstTokenAt) - firstTokenAt) / 1000;
  return {
    firstToken: (firstTokenAt - startedAt) / 1000,
    perToken: completionTokens > 1 ? after / (completionTokens - 1) : undefined,
  };
}

declare module "fastify" {
  interface FastifyRequest {
    account: Account;
  }
  interface FastifyContextConfig {
    /** Needs no key. */
    isPublic?: boolean;
    /** Asks the engine: limits apply. */
    asksEngine?: boolean;
  }
}
