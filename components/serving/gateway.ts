import { createHash } from "node:crypto";
import type { ApiKey } from "../../gateway/src/config.ts";
import type { PromptFacts } from "../model/promptFacts.ts";
import type { NamedKey } from "../settings/apiKeys.ts";
import { ports } from "./ports.ts";
import { gatewayDrainDelay, patience } from "./timeouts.ts";

/** The settings of the gateway's container, whichever target runs it. gateway/src/config.ts reads them. */
export interface GatewayOptions {
  /** The host name or address of HAProxy's internal frontend. */
  upstream: string;
  /** The model's name in the API. */
  modelAlias: string;
  /** Maximum tokens per conversation. */
  contextSize: number;
  /** Requests that one replica answers at once. */
  parallel: number;
  /** What the model's file says. The gateway asks the engine for the rest. */
  prompt: PromptFacts;
  /** Allowed origins of web pages, or `*`. Default: `*` with keys, none without. */
  corsOrigins?: readonly string[] | undefined;
  /** Names under which the service is reached, or `*`. Default: any with keys, those of this machine without. */
  allowedHosts?: readonly string[] | undefined;
}

/** The gateway's environment, except {@link apiKeysVariable}, which is a secret. */
export function gatewayEnvironment(options: GatewayOptions): Record<string, string> {
  const { prompt, corsOrigins, allowedHosts } = options;
  return {
    UPSTREAM_URL: `http://${options.upstream}:${ports.router}`,
    MODEL_ALIAS: options.modelAlias,
    CONTEXT_SIZE: String(options.contextSize),
    PARALLEL: String(options.parallel),
    PORT: String(ports.gateway),
    METRICS_PORT: String(ports.gatewayMetrics),
    DRAIN_DELAY: String(gatewayDrainDelay),
    FIRST_TOKEN_TIMEOUT: String(patience),
    ...given("CHAT_TEMPLATE", prompt.chatTemplate),
    ...given("BOS_TOKEN", prompt.bosToken),
    ...given("EOS_TOKEN", prompt.eosToken),
    ...given("SPECIAL_TOKENS", prompt.specialTokens && JSON.stringify(prompt.specialTokens)),
    ...given("CORS_ORIGINS", corsOrigins?.join(",")),
    ...given("ALLOWED_HOSTS", allowedHosts?.join(",")),
  };
}

/** The variable for {@link apiKeysValue}. */
export const apiKeysVariable = "API_KEYS";

/** The keys in the gateway's form: by name and SHA-256, never in plain text. */
export function apiKeysValue(keys: readonly NamedKey[]): string {
  const hashed = keys.map(({ name, key, limits }): ApiKey => {
    return { name, sha256: createHash("sha256").update(key).digest("hex"), limits };
  });
  return JSON.stringify(hashed);
}

function given(name: string, value: string | undefined): Record<string, string> {
  return value === undefined ? {} : { [name]: value };
}
