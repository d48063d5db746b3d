import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { Registry } from "prom-client";
import { newLogger } from "./accessLog.ts";
import { ConfigError, readConfig } from "./config.ts";
import { createGateway } from "./server.ts";

/** The port for Prometheus, which serves nothing else. */
function metricsServer(registry: Registry): Server {
  return createServer((request, response) => {
    if (request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    void registry.metrics().then((text) => {
      response.writeHead(200, { "content-type": registry.contentType }).end(text);
    });
  });
}

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = newLogger();
  const { api, metrics, stop } = createGateway(config, log);
  const statistics = metricsServer(metrics.registry).listen(config.metricsPort, config.host);
  await once(statistics, "listening");
  const address = await api.listen({ host: config.host, port: config.port });
  log.info({ address, upstream: config.upstreamUrl, model: config.model, keys: config.keys.length }, "listening");
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      void stop().then(() => statistics.close());
    });
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exitCode = 1;
});
