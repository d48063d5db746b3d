import { keepAlive as ownKeepAlive } from "./timeouts.ts";

/** The settings of HAProxy's container, whichever target runs it. docker/load-balancer/haproxy.cfg explains them. */
export interface HaproxyOptions {
  /** Requests that one replica answers at once. HAProxy sends it no more than these; the rest wait in HAProxy. */
  parallel: number;
  /** Seconds that an idle connection is kept: longer than in anything in front of HAProxy. Default: timeouts.ts. */
  keepAlive?: number;
  /** Maximum connections per source. Undefined: no limit, because all clients come from a proxy in front. */
  sourceLimit?: number | undefined;
  /**
   * A DNS server, as address and port, that knows the replicas as `llama` and the gateways as `gateway-1` and
   * `gateway-2`. Undefined: there is one of each, and they share a network namespace with HAProxy.
   */
  dns?: string | undefined;
  /** The file with a certificate, the rest of its chain and its key, in PEM format. Undefined: plain HTTP. */
  tls?: string | undefined;
}

/** HAProxy's environment. */
export function haproxyEnvironment({
  parallel,
  keepAlive,
  sourceLimit,
  dns,
  tls,
}: HaproxyOptions): Record<string, string> {
  return {
    PARALLEL: String(parallel),
    KEEP_ALIVE: String(keepAlive ?? ownKeepAlive),
    ...(sourceLimit === undefined ? {} : { SOURCE_LIMIT: String(sourceLimit) }),
    ...(dns === undefined ? {} : { DNS: dns }),
    ...(tls === undefined ? {} : { TLS: tls }),
  };
}

/** The names that {@link HaproxyOptions.dns} knows. The gateways ask it for HAProxy's. */
export const dnsNames = { replicas: "llama", gateways: ["gateway-1", "gateway-2"], haproxy: "haproxy" } as const;
