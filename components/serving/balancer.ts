import { keepAlive as ownKeepAlive } from "./timeouts.ts";

/** What HAProxy's container is told, whichever target runs it: docker/load-balancer/haproxy.cfg says what it means. */
export interface BalancerOptions {
  /** Requests that one replica answers at once. HAProxy sends it no more; the rest wait in HAProxy. */
  parallel: number;
  /** Seconds that an idle connection is kept: longer than whatever stands in front keeps it. Default: timeouts.ts. */
  keepAlive?: number;
  /** Connections that one source may have. Undefined: any number, where a proxy in front is everybody's source. */
  sourceLimit?: number | undefined;
  /**
   * A DNS server, address and port, that knows the replicas as `llama`, and the gateways as `gateway-1` and `gateway-2`.
   * Undefined: there is one of each, and they share a network namespace with HAProxy.
   */
  dns?: string | undefined;
  /** The file where it finds a certificate, the rest of its chain and its key, in PEM. Undefined: plain HTTP. */
  tls?: string | undefined;
}

/** HAProxy's environment. */
export function balancerEnvironment({
  parallel,
  keepAlive,
  sourceLimit,
  dns,
  tls,
}: BalancerOptions): Record<string, string> {
  return {
    PARALLEL: String(parallel),
    KEEP_ALIVE: String(keepAlive ?? ownKeepAlive),
    ...(sourceLimit === undefined ? {} : { SOURCE_LIMIT: String(sourceLimit) }),
    ...(dns === undefined ? {} : { DNS: dns }),
    ...(tls === undefined ? {} : { TLS: tls }),
  };
}

/** The names that {@link BalancerOptions.dns} knows; the gateways ask it for the balancer's. */
export const dnsNames = { replicas: "llama", gateways: ["gateway-1", "gateway-2"], balancer: "balancer" } as const;
