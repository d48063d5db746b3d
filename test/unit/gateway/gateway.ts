import { createHash } from "node:crypto";
import type { AddressInfo } from "node:net";
import { newLogger } from "../../../gateway/src/accessLog.ts";
import { readConfig } from "../../../gateway/src/config.ts";
import { createGateway } from "../../../gateway/src/server.ts";
import { parseJson } from "../../support/http.ts";
import { startFakeUpstream, type FakeUpstream } from "../../../tools/fakeUpstream.ts";

/** A gateway in front of a fake upstream, both listening on this machine. */
export interface TestGateway extends AsyncDisposable {
  url: string;
  port: number;
  fake: FakeUpstream;
  /** The lines of its log. */
  log: Record<string, unknown>[];
  metrics: () => Promise<string>;
  /** What of the engine's /completion was asked. */
  asked: () => Record<string, unknown>[];
}

/** The key of a gateway that was started with {@link keys}. */
export const key = "sk-test-key";
export const keys = JSON.stringify([{ name: "alice", sha256: createHash("sha256").update(key).digest("hex") }]);

/** @param env what differs from a small gateway without keys */
export async function startGateway(env: Record<string, string> = {}): Promise<TestGateway> {
  const fake = await startFakeUpstream();
  const log: Record<string, unknown>[] = [];
  const logger = newLogger({ write: (line) => log.push(JSON.parse(line) as Record<string, unknown>) });
  const config = readConfig({
    UPSTREAM_URL: fake.url,
    MODEL_ALIAS: "fake",
    CONTEXT_SIZE: "4096",
    PARALLEL: "4",
    ...env,
  });
  const { api, metrics } = createGateway(config, logger);
  await api.listen({ host: "127.0.0.1", port: 0 });
  const { port } = api.server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    fake,
    log,
    metrics: () => metrics.registry.metrics(),
    asked: () => fake.received.filter(({ path }) => path === "/completion").map(({ body }) => body),
    async [Symbol.asyncDispose]() {
      await fake.close();
      await api.close();
    },
  };
}

/** An ordinary question. */
export const question = { messages: [{ role: "user", content: "Which digit is in this prompt: 5?" }] };

/** The data lines of a stream, as JSON where they are. */
export function dataLines(body: string): unknown[] {
  return body
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => parseJson(line.slice(6)) ?? line.slice(6));
}
