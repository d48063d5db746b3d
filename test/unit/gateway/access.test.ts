import crypto from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it, vi } from "vitest";
import { readConfig } from "../../../gateway/src/config.ts";
import { send } from "../../support/http.ts";
import { key, keys, question, startGateway } from "./gateway.ts";

const path = "/v1/chat/completions";

describe("with keys", () => {
  it("a request passes with one of them, in either header", async () => {
    await using gateway = await startGateway({ API_KEYS: keys });
    for (const headers of [
      { authorization: `Bearer ${key}` },
      { authorization: `bearer  ${key}` },
      { "x-api-key": key },
    ]) {
      expect((await send(gateway, "POST", path, { body: question, headers })).status).toBe(200);
    }
  });

  it.each([
    ["no key", {}],
    ["a wrong one", { authorization: "Bearer wrong" }],
    ["a hash instead of a key", { "x-api-key": keys }],
    ["another scheme", { authorization: `Basic ${key}` }],
    ["a part of the key", { authorization: `Bearer ${key.slice(0, -1)}` }],
  ])("401 with %s", async (_name, headers) => {
    await using gateway = await startGateway({ API_KEYS: keys });
    const answer = await send(gateway, "POST", path, { body: question, headers });
    expect(answer).toMatchObject({
      status: 401,
      headers: { "www-authenticate": "Bearer", connection: "close" },
      json: { error: { type: "authentication_error", code: "invalid_api_key" } },
    });
    expect(gateway.fake.received).toEqual([]);
  });

  it("401 comes before the body does", async () => {
    await using gateway = await startGateway({ API_KEYS: keys });
    const socket = connect(gateway.port, "127.0.0.1");
    socket.write(`POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n{`);
    expect(await text(socket)).toMatch(/^HTTP\/1.1 401 /);
  });

  it("each of them is compared, in constant time, whichever is right: the duration tells nobody how close a guess was", async () => {
    const four = ["a", "b", "c", "d"].map((name) => ({ name, sha256: crypto.hash("sha256", name) }));
    await using gateway = await startGateway({ API_KEYS: JSON.stringify(four) });
    const compare = vi.spyOn(crypto, "timingSafeEqual");
    syncBuiltinESMExports();
    try {
      for (const [given, status] of [
        ["a", 200],
        ["d", 200],
        ["none", 401],
      ] as const) {
        const headers = { "x-api-key": given };
        expect((await send(gateway, "GET", "/v1/models", { headers })).status).toBe(status);
        const hash = Buffer.from(crypto.hash("sha256", given), "hex");
        expect(compare.mock.calls).toEqual(four.map(({ sha256 }) => [hash, Buffer.from(sha256, "hex")]));
        compare.mockClear();
      }
    } finally {
      compare.mockRestore();
      syncBuiltinESMExports();
    }
  });

  it("/health, the page and preflights need none", async () => {
    await using gateway = await startGateway({ API_KEYS: keys });
    for (const open of ["/health", "/", "/props", "/v1/props"])
      expect((await send(gateway, "GET", open)).status).toBe(200);
    expect((await send(gateway, "GET", "/v1/models")).status).toBe(401);
  });

  it("they may come from a file", () => {
    const file = join(mkdtempSync(join(tmpdir(), "keys-")), "keys.json");
    writeFileSync(file, keys);
    const env = { UPSTREAM_URL: "http://127.0.0.1:1", MODEL_ALIAS: "a", CONTEXT_SIZE: "1", API_KEYS_FILE: file };
    expect(readConfig(env).keys).toMatchObject([{ name: "alice" }]);
    writeFileSync(file, '[{"name": "alice", "key": "secret"}]');
    expect(() => readConfig(env)).toThrow(/64 hexadecimal digits/);
    expect(() => readConfig({ ...env, API_KEYS_FILE: "/nowhere" })).toThrow(/cannot be read \(ENOENT\)/);
  });

  it("one that asks too often gets 429, and is told its limits", async () => {
    const limited = JSON.stringify(
      (JSON.parse(keys) as object[]).map((one) => ({ ...one, limits: { requestsPerMinute: 1 } })),
    );
    await using gateway = await startGateway({ API_KEYS: limited });
    const headers = { "x-api-key": key };
    const first = await send(gateway, "POST", path, { body: question, headers });
    expect(first.headers).toMatchObject({ "x-ratelimit-limit-requests": "1", "x-ratelimit-remaining-requests": "0" });
    const second = await send(gateway, "POST", path, { body: question, headers });
    expect(second).toMatchObject({
      status: 429,
      headers: { "retry-after": expect.stringMatching(/^(59|60)$/) as string, "x-ratelimit-remaining-requests": "0" },
      json: { error: { code: "rate_limit_exceeded" } },
    });
    expect((await send(gateway, "GET", "/v1/models", { headers })).status).toBe(200);
  });
});

describe("web pages", () => {
  const foreign = { origin: "http://evil.example" };

  it("of elsewhere cannot use an API without keys, not even blindly", async () => {
    await using gateway = await startGateway();
    const plain = { ...foreign, "content-type": "text/plain" };
    expect((await send(gateway, "POST", path, { body: question, headers: plain })).status).toBe(403);
    expect((await send(gateway, "POST", path, { body: question, headers: { origin: "null" } })).status).toBe(403);
    expect(gateway.fake.received).toEqual([]);
  });

  it("that give themselves this machine's address cannot, either", async () => {
    await using gateway = await startGateway();
    const headers = { host: "evil.example:8080", origin: "http://evil.example:8080" };
    expect((await send(gateway, "POST", path, { body: question, headers })).status).toBe(403);
    expect((await send(gateway, "GET", "/v1/models", { headers })).status).toBe(403);
    expect((await send(gateway, "GET", "/health", { headers: { host: "10.0.0.7" } })).status).toBe(200);
  });

  it("of the gateway itself can", async () => {
    await using gateway = await startGateway();
    const headers = { host: `localhost:${gateway.port}`, origin: `http://localhost:${gateway.port}` };
    expect((await send(gateway, "POST", path, { body: question, headers })).status).toBe(200);
  });

  it("that are allowed ask first, and get an answer without a key", async () => {
    await using gateway = await startGateway({ API_KEYS: keys, CORS_ORIGINS: "http://app.example, http://b.example" });
    const asking = { origin: "http://app.example", "access-control-request-method": "POST" };
    const preflight = await send(gateway, "OPTIONS", path, {
      headers: { ...asking, "access-control-request-headers": "authorization,x-stainless-lang" },
    });
    expect(preflight).toMatchObject({
      status: 204,
      headers: {
        "access-control-allow-origin": "http://app.example",
        "access-control-allow-headers": "authorization,x-stainless-lang",
      },
    });
    const headers = { origin: "http://app.example", authorization: `Bearer ${key}` };
    const answer = await send(gateway, "POST", path, { body: { ...question, stream: true }, headers });
    expect(answer).toMatchObject({ status: 200, headers: { "access-control-allow-origin": "http://app.example" } });
    const refused = await send(gateway, "OPTIONS", path, { headers: { ...asking, ...foreign } });
    expect(refused.headers).not.toHaveProperty("access-control-allow-origin");
  });
});

describe("what is told of a request", () => {
  it("its id is taken, or made, and goes on to the engine", async () => {
    await using gateway = await startGateway();
    const given = await send(gateway, "POST", path, { body: question, headers: { "x-request-id": "abc-1" } });
    expect(given.headers["x-request-id"]).toBe("abc-1");
    expect(gateway.fake.received.at(-1)?.headers["x-request-id"]).toBe("abc-1");
    const odd = await send(gateway, "GET", "/v1/models", { headers: { "x-request-id": 'a" b' } });
    expect(odd.headers["x-request-id"]).toMatch(/^req_/);
  });

  it("one line in the log, without prompt, answer or key", async () => {
    await using gateway = await startGateway({ API_KEYS: keys });
    const headers = { authorization: `Bearer ${key}` };
    await send(gateway, "POST", path, { body: question, headers });
    await send(gateway, "POST", path, { body: { ...question, temperature: 9 }, headers });
    expect(gateway.log).toMatchObject([
      { method: "POST", endpoint: path, status: 200, key: "alice", completionTokens: 5, replica: "fake-1" },
      { status: 400, key: "alice", error: "invalid_request_error" },
    ]);
    const told = JSON.stringify(gateway.log);
    for (const secret of ["digit", key, "5?"]) expect(told).not.toContain(secret);
  });

  it("the client's address, as HAProxy tells it, and nothing that is no address", async () => {
    await using gateway = await startGateway();
    for (const said of ["192.0.2.7", "2001:db8::7", "192.0.2.7, 192.0.2.8", "<script>"]) {
      await send(gateway, "GET", "/v1/models", { headers: { "x-forwarded-for": said } });
    }
    await vi.waitFor(() => {
      expect(gateway.log.map(({ client }) => client)).toEqual(["192.0.2.7", "2001:db8::7", undefined, undefined]);
    });
  });

  it("why an engine gave no answer, or only a part of it", async () => {
    await using gateway = await startGateway();
    for (const failAfter of [0, 2]) {
      gateway.fake.behave({ fault: "die", failAfter });
      expect((await send(gateway, "POST", path, { body: question })).status).toBe(502);
      expect(gateway.log.splice(0)).toMatchObject([
        { level: "warn", cause: "UND_ERR_SOCKET", requestId: expect.stringMatching(/^req_/) as string },
        { level: "info", status: 502, error: "engine_failed" },
      ]);
    }
  });

  it("counts for Prometheus, by key", async () => {
    await using gateway = await startGateway({ API_KEYS: keys });
    await send(gateway, "POST", path, { body: question, headers: { "x-api-key": key } });
    await send(gateway, "GET", "/v1/models");
    const metrics = await gateway.metrics();
    const alice = 'model="fake",key="alice"';
    expect(metrics).toContain(`bitnet_gateway_requests_total{${alice},endpoint="${path}",status="200"} 1`);
    expect(metrics).toContain(
      'bitnet_gateway_requests_total{model="fake",key="",endpoint="/v1/models",status="401"} 1',
    );
    expect(metrics).toContain(`bitnet_gateway_completion_tokens_total{${alice}} 5`);
    expect(metrics).toContain(`bitnet_gateway_time_to_first_token_seconds_count{${alice}} 1`);
    expect(metrics).toContain(`bitnet_gateway_time_per_token_seconds_count{${alice}} 1`);
  });

  it("which replica answered, to whoever asks", async () => {
    await using gateway = await startGateway();
    const headers = { "x-name-replica": "1" };
    expect((await send(gateway, "POST", path, { body: question, headers })).headers["x-replica"]).toBe("fake-1");
    expect((await send(gateway, "POST", path, { body: question })).headers).not.toHaveProperty("x-replica");
  });
});

it("more requests than it holds get 429 and when to come again", async () => {
  await using gateway = await startGateway({ MAX_REQUESTS: "1" });
  gateway.fake.behave({ firstDelay: 400 });
  const both = await Promise.all([1, 2].map(() => send(gateway, "POST", path, { body: question })));
  expect(both.map(({ status }) => status).sort()).toEqual([200, 429]);
  expect(both.find(({ status }) => status === 429)?.headers["retry-after"]).toBe("30");
});

describe("settings", () => {
  it("let an answer begin as late as anybody likes", () => {
    const env = { UPSTREAM_URL: "http://127.0.0.1:1", MODEL_ALIAS: "a", CONTEXT_SIZE: "1" };
    expect(readConfig(env).firstTokenTimeout).toBe(600);
    expect(readConfig({ ...env, FIRST_TOKEN_TIMEOUT: "7200" }).firstTokenTimeout).toBe(7200);
  });

  it("that are wrong are all told at once", () => {
    const env = { UPSTREAM_URL: "ftp://a", CONTEXT_SIZE: "many", PORT: "99999", API_KEYS: "[{}]" };
    for (const name of ["UPSTREAM_URL", "MODEL_ALIAS", "CONTEXT_SIZE", "PORT", "API_KEYS"]) {
      expect(() => readConfig(env)).toThrow(name);
    }
  });
});
