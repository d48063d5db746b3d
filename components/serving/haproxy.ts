import {
  agentInterval,
  check,
  connectTimeout,
  keepAlive as ownKeepAlive,
  patience,
  requestTimeout,
  resolve,
} from "./timeouts.ts";

/** What the load balancer's configuration depends on. */
export interface LoadBalancing {
  /** Requests that one replica answers at once. The balancer sends it no more; the rest wait in the balancer. */
  parallel: number;
  /** Where the replicas are: a DNS name that every one of them answers to, or their addresses with port. */
  replicas: { dnsName: string; dnsServer: string } | { addresses: readonly string[] };
  /** How many API keys there are, as the environment variables API_KEY_0, API_KEY_1, ...; 0 = everybody may ask. */
  apiKeys: number;
  /** Seconds that an idle connection is kept: longer than whatever stands in front keeps it. Default: timeouts.ts. */
  keepAlive?: number;
}

/** The most replicas that the balancer finds by DNS: the upper bound of the setting `replicas`. */
const maxReplicas = 64;

/** Connections that the balancer holds. Past that nobody is let in, not even who asks for /health (HAProxy's maxconn). */
const maxConnections = 1024;

/**
 * Requests that may wait: so many for each slot, which at ten seconds an answer is as long as {@link patience}; and so many
 * in all, which leaves connections for /health. Whoever comes then is told at once to come again later.
 */
const waiting = { eachSlot: 60, all: 768 };

/**
 * Bytes of a request that the balancer holds until a replica has it: a conversation of 4,096 tokens in JSON is some 20 kB,
 * one of 32,000 some 130. What is longer is not asked again when a replica fails. HAProxy's default is 16 kB; each
 * connection in use takes twice this.
 */
const bufferSize = 131_072;

/**
 * How many requests are remembered, and for how long, so that the next one of their conversation finds its replica: far
 * more than all replicas together have in memory.
 */
const remembered = { requests: 10_000, time: "1h" };

/**
 * Bytes by which a prompt without messages is recognised: some 250 tokens, as many as OpenAI routes by (its guide to
 * prompt caching). What is shorter is soon read again.
 */
const recognisedBytes = 1000;

/**
 * HAProxy's configuration: sends a request only to a replica with a free slot, if possible to the one that has the
 * conversation in memory, and lets the rest wait, streams without buffering, stops using a replica that drains or hangs,
 * and closes llama-server's administrative endpoints to users.
 * A pure function: the docker and the aws target run the same text.
 */
export function haproxyConfiguration(balancing: LoadBalancing): string {
  return [
    global(balancing),
    defaults(balancing),
    resolvers(balancing),
    api(balancing),
    backend(balancing),
    statistics(),
  ]
    .filter((section) => section !== "")
    .join("\n");
}

function global(balancing: LoadBalancing): string {
  return `global
  log stdout format raw local0 info
  maxconn ${maxConnections}
  # Two threads would now and then both give away a replica's last free slot.
  nbthread 1
  tune.bufsize ${bufferSize}
  # On SIGUSR1 (a stop) running requests are finished first.
  hard-stop-after ${patience}s
${hasChoice(balancing) ? "  lua-load /usr/local/share/is-free.lua\n" : ""}`;
}

/** With one replica there is nothing to remember. */
function hasChoice({ replicas }: LoadBalancing): boolean {
  return "dnsName" in replicas || replicas.addresses.length > 1;
}

function defaults({ keepAlive = ownKeepAlive }: LoadBalancing): string {
  return `defaults
  mode http
  log global
  option httplog
  option dontlognull
  # Tokens are small packets: send each at once.
  option http-no-delay
  timeout connect ${connectTimeout}s
  timeout client ${patience}s
  timeout server ${patience}s
  timeout queue ${patience}s
  timeout http-request ${requestTimeout}s
  timeout http-keep-alive ${keepAlive}s
  timeout check ${check.timeout}s
${jsonErrors()}
`;
}

/** HAProxy's own answers, in the OpenAI API's form, so that clients show the message instead of HTML. */
function jsonErrors(): string {
  const answers: Readonly<Record<number, string>> = {
    400: "the request is not valid HTTP",
    408: "the request did not arrive in time",
    500: "the load balancer failed",
    502: "the server ended the connection before it answered",
    503: "no server is ready, or none became free in time; try again in a few seconds",
    504: "the server did not answer in time",
  };
  return Object.entries(answers)
    .map(([status, message]) => `  http-error status ${status} ${json(errorBody(message, "server_error"))}`)
    .join("\n");
}

function resolvers({ replicas }: LoadBalancing): string {
  if ("addresses" in replicas) {
    return "";
  }
  return `resolvers dns
  nameserver docker ${replicas.dnsServer}
  # A new replica is found within a second. 64 addresses do not fit in DNS's 512 bytes.
  accepted_payload_size 8192
  timeout resolve ${resolve.interval}s
  timeout retry ${resolve.interval}s
  hold valid ${resolve.interval}s
  hold obsolete ${resolve.obsolete}s
`;
}

function api({ apiKeys, parallel }: LoadBalancing): string {
  const overloaded = errorBody("all servers are busy and many requests wait; try again later", "server_error");
  return `frontend api
  bind :8080
  # The whole request is here before it takes a slot: a slow upload holds none.
  option http-buffer-request
  acl health path /health
  http-request return status 200 ${json({ status: "ok" })} if health { nbsrv(replicas) ge 1 }
  http-request return status 503 ${json({ status: "no server is ready" })} hdr Retry-After 5 if health
${authorization(apiKeys)}
  # Users get the OpenAI API and the chat page; slots, metrics, prompts of others and settings are not for them.
  acl openai path_beg /v1/
  # The smoke test wants to know which replica answered.
  http-request set-var(txn.name_replica) bool(true) if { req.hdr(X-Name-Replica) -m found }
  http-response set-header X-Replica %si if { var(txn.name_replica) -m bool }
  acl page path /props
  acl page path_reg ^/([A-Za-z0-9_-]+[.](html|js|mjs|css|ico|svg|png|webmanifest))?$
  acl read method GET HEAD
  acl page_chat path /completion
  http-request return status 404 ${json(errorBody("there is no such endpoint", "not_found_error"))} unless openai || page read || page_chat METH_POST
  http-request return status 503 ${json(overloaded)} hdr Retry-After 30 if { avg_queue(replicas) ge ${waiting.eachSlot * parallel} } || { queue(replicas) ge ${waiting.all} }
  default_backend replicas
`;
}

function authorization(apiKeys: number): string {
  if (apiKeys === 0) {
    return "  # No API key is set: everybody who reaches the port may ask.";
  }
  const keys = Array.from({ length: apiKeys }, (_, index) => `"Bearer \${API_KEY_${index}}"`);
  const refusal = errorBody("send a valid API key as: Authorization: Bearer KEY", "authentication_error");
  return `  acl authorized req.hdr(Authorization) -m str ${keys.join(" ")}
  http-request return status 401 ${json(refusal)} hdr WWW-Authenticate Bearer unless authorized`;
}

function backend(balancing: LoadBalancing): string {
  const { parallel, replicas } = balancing;
  const servers =
    "addresses" in replicas
      ? replicas.addresses.map((address, index) => `server llama-${index + 1} ${address}`).join("\n  ")
      : `server-template llama- ${maxReplicas} ${replicas.dnsName}:8080 resolvers dns init-addr none`;
  return `backend replicas
  balance leastconn
  # A client that has gone gives up its place in the queue.
  option abortonclose
  # llama-server closes an idle connection after 5 s, which a reused one would meet as an error.
  http-reuse never
  # A request that no replica has begun to answer is asked again elsewhere; 503 is a replica that still loads its model.
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response 503
  option httpchk
  http-check send meth GET uri /health
  http-check expect status 200
  # The agent is the replica's entrypoint: it says "down" until the model has answered a question, and "drain" when it is to stop.
  # One connection that fails takes a replica out until a check succeeds: it is stopped, or a new one not yet listening.
  default-server observe layer4 error-limit 1 on-error mark-down
  # Without an answer of the agent's HAProxy would take a new replica to be ready.
  default-server disabled maxconn ${parallel} check inter ${check.interval}s fall ${check.failures} rise 1 agent-check agent-port 8081 agent-inter ${agentInterval * 1000}ms
  ${servers}
${hasChoice(balancing) ? conversations() : ""}`;
}

/**
 * Sends a conversation's next request to the replica that answered the last one: it still has that in memory, and reads
 * only what is new. A request says all that the one before it said, then the answer, then something new; so what stands
 * before its last answer is looked up. If that replica is busy, or somebody waits, the request goes wherever one is free:
 * nobody waits for a certain replica. So does a request with no answer in it: it begins a conversation.
 */
function conversations(): string {
  // A message that the assistant wrote, up to where that is said, which need not be first. In HAProxy's and PCRE's quoting
  // \x22 is a quote and \x5c a backslash. JSON puts one before each quote that somebody wrote: no text looks like this.
  const text = String.raw`\x22(?:[^\x22\x5c]|\x5c.)*+\x22`;
  const answer = String.raw`,\s*\{(?=\x22\w+\x22:)(?:${text}|[^{}\x22]++)*?\x22role\x22:\s?\x22assistant\x22`;
  return `  # What a request says, and what the one before it said.
  http-request set-var(txn.now) req.body,json_query('$.prompt'),bytes(0,${recognisedBytes}),xxh32
  http-request set-var(txn.before) var(txn.now)
  http-request set-var(txn.now) req.body,json_query('$.messages'),rtrim(]),xxh32
  http-request set-var(txn.before) 'req.body,json_query("$.messages"),regsub("^(.*)${answer}.*$","\\1"),xxh32'
  # Whoever answered that one gets this one too, if it is free and nobody waits.
  stick-table type integer size ${remembered.requests} expire ${remembered.time}
  stick store-request var(txn.now)
  http-request set-var(txn.home) var(txn.before),table_server_id(replicas)
  use-server llama-%[var(txn.home)] if { queue(replicas) eq 0 } { var(txn.home),lua.is_free -m bool }
`;
}

function statistics(): string {
  return `frontend statistics
  bind :8404
  no log
  http-request use-service prometheus-exporter if { path /metrics }
  stats enable
  stats uri /
  stats refresh 5s
`;
}

function errorBody(message: string, type: string) {
  return { error: { message, type } };
}

/** A JSON body as HAProxy's configuration has it: in single quotes, inside which nothing is special. */
function json(body: unknown): string {
  return `content-type application/json string '${JSON.stringify(body)}'`;
}
