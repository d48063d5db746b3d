import { createHash } from "node:crypto";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { newLogger } from "../../../gateway/src/accessLog.ts";
import { readConfig } from "../../../gateway/src/config.ts";
import { createGateway } from "../../../gateway/src/server.ts";
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

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** The body as JSON; undefined if it is none. */
  json: unknown;
}

/** Sends exactly what is said: no path is normalised, no header added. */
export async function send(
  { port }: { port: number },
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string | string[]> } = {},
): Promise<Answer> {
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const lengthHeader = Buffer.isBuffer(bytes) ? { "content-length": String(bytes.length) } : {};
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { port, host: "127.0.0.1", method, path, headers: { ...lengthHeader, ...headers }, agent: false },
      (response) => {
        text(response).then((received) => {
          const { statusCode = 0, headers } = response;
          resolve({ status: statusCode, headers, body: received, json: parse(received) });
        }, reject);
      },
    );
    request.on("error", reject);
    request.end(bytes);
  });
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return undefined;
  }
}

/** An ordinary question. */
export const question = { messages: [{ role: "user", content: "Which digit is in this prompt: 5?" }] };

/** The data lines of a stream, as JSON where they are. */
export function dataLines(body: string): unknown[] {
  return body
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => parse(line.slice(6)) ?? line.slice(6));
}
