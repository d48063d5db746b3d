import { readFileSync } from "node:fs";
import { z } from "zod";

const port = z.coerce.number().int().min(0).max(65535);
const seconds = z.coerce.number().positive();
const count = z.coerce.number().int().positive();
/** `a, b` as a list. */
const list = z.string().transform((text) =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);

/** JSON in an environment variable. */
function json<T>(schema: z.ZodType<T>) {
  return z.string().transform((text, context): T => {
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      context.addIssue({ code: "custom", message: "is not the JSON that is expected" });
      return z.NEVER;
    }
  });
}

/** Limits of one key; what is not given is unlimited. Each gateway counts for itself. */
const keyLimits = z.object({
  concurrentRequests: z.number().int().positive().optional(),
  requestsPerMinute: z.number().int().positive().optional(),
  tokensPerMinute: z.number().int().positive().optional(),
});

const apiKeys = z.array(
  z.object({
    /** In the log and the metrics. */
    name: z.string().min(1),
    /** SHA-256 of the key, in hexadecimal: the gateway never holds a key that it did not just receive. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    limits: keyLimits.default({}),
  }),
);

export type ApiKey = z.infer<typeof apiKeys>[number];
export type KeyLimits = z.infer<typeof keyLimits>;

const environment = z.object({
  /** Where llama-server, or HAProxy in front of several, answers: http://127.0.0.1:8081 */
  UPSTREAM_URL: z.url({ protocol: /^https?$/ }),
  /** The name that the model is served under. */
  MODEL_ALIAS: z.string().min(1),
  /** Tokens of one conversation, question and answer together. */
  CONTEXT_SIZE: count,
  /** Requests that one replica answers at once: the most choices that one request may ask for. */
  PARALLEL: count.default(1),
  HOST: z.string().default("0.0.0.0"),
  PORT: port.default(8080),
  METRICS_PORT: port.default(9090),
  /** A file with the keys; or API_KEYS, the same JSON itself. Neither: whoever reaches the port may ask. */
  API_KEYS_FILE: z.string().optional(),
  API_KEYS: json(apiKeys).optional(),
  /** Web pages that may use the API: origins, or `*`. Default: `*` with keys, none without. */
  CORS_ORIGINS: list.optional(),
  /** Names under which the gateway is reached, or `*`. Default: any with keys, those of this machine without. */
  ALLOWED_HOSTS: list.optional(),
  /** Jinja source. Default: what the engine says is the model's. */
  CHAT_TEMPLATE: z.string().optional(),
  /** What the template may print. Default: what the engine says. */
  BOS_TOKEN: z.string().optional(),
  EOS_TOKEN: z.string().optional(),
  /** A JSON array of the model's control tokens. Default: those that its template writes, and BOS and EOS. */
  SPECIAL_TOKENS: json(z.array(z.string().min(1))).optional(),
  /** Bytes of a request's body. */
  BODY_LIMIT: count.default(1_048_576),
  /** Requests that one gateway holds at once; more are told to come again. */
  MAX_REQUESTS: count.default(512),
  /** Seconds until an answer has begun, waiting included. */
  FIRST_TOKEN_TIMEOUT: seconds.default(600),
  /** Seconds between two tokens after which the engine is taken to hang: a batch of another's prompt may lie between. */
  STALL_TIMEOUT: seconds.default(60),
  /** CloudWatch's namespace: metrics are printed in its embedded metric format. Not set: they are not. */
  EMF_NAMESPACE: z.string().min(1).optional(),
  /** The value of their dimension ServiceName. */
  EMF_SERVICE: z.string().min(1).default("bitnet-server"),
  /** Seconds between two comment lines in a stream that waits. */
  HEARTBEAT: seconds.default(15),
  /** Seconds after SIGTERM in which it still takes requests, but /health says 503: until HAProxy sends no more. */
  DRAIN_DELAY: z.coerce.number().nonnegative().default(0),
});

export type Config = ReturnType<typeof readConfig>;

/** @throws ConfigError with everything that is wrong */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  const parsed = environment.safeParse(env);
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`));
  }
  const { API_KEYS_FILE, API_KEYS, CORS_ORIGINS, ALLOWED_HOSTS, ...rest } = parsed.data;
  const keys = API_KEYS_FILE === undefined ? (API_KEYS ?? []) : readKeys(API_KEYS_FILE);
  const open = keys.length === 0;
  return {
    upstreamUrl: rest.UPSTREAM_URL,
    model: rest.MODEL_ALIAS,
    contextSize: rest.CONTEXT_SIZE,
    slots: rest.PARALLEL,
    host: rest.HOST,
    port: rest.PORT,
    metricsPort: rest.METRICS_PORT,
    keys,
    corsOrigins: CORS_ORIGINS ?? (open ? [] : ["*"]),
    allowedHosts: ALLOWED_HOSTS ?? (open ? ["localhost", "127.0.0.1", "[::1]"] : ["*"]),
    chatTemplate: rest.CHAT_TEMPLATE,
    bosToken: rest.BOS_TOKEN,
    eosToken: rest.EOS_TOKEN,
    specialTokens: rest.SPECIAL_TOKENS,
    bodyLimit: rest.BODY_LIMIT,
    maxRequests: rest.MAX_REQUESTS,
    firstTokenTimeout: rest.FIRST_TOKEN_TIMEOUT,
    stallTimeout: rest.STALL_TIMEOUT,
    heartbeat: rest.HEARTBEAT,
    embeddedMetrics:
      rest.EMF_NAMESPACE === undefined ? undefined : { namespace: rest.EMF_NAMESPACE, service: rest.EMF_SERVICE },
    drainDelay: rest.DRAIN_DELAY,
  };
}

/** Says what is wrong, but not what the file holds. */
function readKeys(file: string): ApiKey[] {
  try {
    return apiKeys.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    const unreadable = error instanceof Error && "code" in error ? `cannot be read (${String(error.code)})` : undefined;
    throw new ConfigError([
      `API_KEYS_FILE=${file}: ${unreadable ?? 'must hold [{"name": "…", "sha256": "64 hexadecimal digits"}, …]'}`,
    ]);
  }
}

export class ConfigError extends Error {
  constructor(problems: readonly string[]) {
    super(`the gateway cannot start:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
  }
}
