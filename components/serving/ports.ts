/**
 * Every port that a process of the service listens on. On AWS, all containers of a replica share one network namespace,
 * so no two ports are equal. On the docker target, each container has its own, and `port` and `statsPort` are
 * published. docker/load-balancer/haproxy.cfg has the same numbers; test/unit/serving/haproxy.test.ts compares them.
 */
export const ports = {
  /** HAProxy, for clients. */
  edge: 8000,
  /** HAProxy: only /health, with its own connections. */
  health: 8001,
  /** The gateway. */
  gateway: 8002,
  /** HAProxy, for the gateway. */
  router: 8003,
  /** HAProxy: statistics page, and the metrics of all. */
  statistics: 8404,
  /** The gateway's metrics. */
  gatewayMetrics: 9090,
  /** llama-server. */
  server: 8080,
  /** Its agent, which tells HAProxy whether to send requests: docker/server/runtime/agent.pl. */
  agent: 8081,
  /** Its memory, for Prometheus: docker/server/runtime/metrics.pl. */
  serverMetrics: 8082,
} as const;
