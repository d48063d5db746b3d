import { describe, expect, test } from "vitest";
import type { GatewayOptions } from "../../../components/serving/gateway.ts";
import { apiKeysValue, apiKeysVariable, gatewayEnvironment } from "../../../components/serving/gateway.ts";
import { ports } from "../../../components/serving/ports.ts";
import { readConfig } from "../../../gateway/src/config.ts";

const nothing = { chatTemplate: undefined, bosToken: undefined, eosToken: undefined, specialTokens: undefined };
const options: GatewayOptions = {
  upstream: "haproxy",
  modelAlias: "bitnet",
  contextSize: 2048,
  parallel: 4,
  prompt: nothing,
};

describe("the gateway understands its environment", () => {
  test("what every stack tells it", () => {
    expect(readConfig(gatewayEnvironment(options))).toMatchObject({
      upstreamUrl: `http://haproxy:${ports.router}`,
      model: "bitnet",
      contextSize: 2048,
      slots: 4,
      port: ports.gateway,
      metricsPort: ports.gatewayMetrics,
      keys: [],
      corsOrigins: [],
      allowedHosts: ["localhost", "127.0.0.1", "[::1]"],
      chatTemplate: undefined,
    });
  });

  test("what the model's file says", () => {
    const prompt = { chatTemplate: "{{ a }}\n", bosToken: "<s>", eosToken: "</s>", specialTokens: ["<s>", '<"|,|">'] };
    expect(readConfig(gatewayEnvironment({ ...options, prompt }))).toMatchObject(prompt);
  });

  test("who may use it", () => {
    const own = { corsOrigins: ["https://a.example", "https://b.example"], allowedHosts: ["llm.example"] };
    expect(readConfig(gatewayEnvironment({ ...options, ...own }))).toMatchObject(own);
  });

  test("the keys, by name and hash", () => {
    const keys = [
      { name: "web", key: "key-of-web", limits: { requestsPerMinute: 60 } },
      { name: "batch", key: "key-of-batch", limits: {} },
    ];
    const value = apiKeysValue(keys);
    expect(value).not.toMatch(/key-of/);
    const sha256 = expect.stringMatching(/^[0-9a-f]{64}$/) as string;
    expect(readConfig({ ...gatewayEnvironment(options), [apiKeysVariable]: value }).keys).toEqual([
      { name: "web", sha256, limits: { requestsPerMinute: 60 } },
      { name: "batch", sha256, limits: {} },
    ]);
  });
});
