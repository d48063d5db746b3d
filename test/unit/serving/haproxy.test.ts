import { expect, test } from "vitest";
import { haproxyConfiguration } from "../../../components/serving/haproxy.ts";

const byDns = { dnsName: "llama", dnsServer: "127.0.0.11:53" };

/** A configuration's sections by name, each as its lines without comments. */
function sections(text: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    if (/^\S/.test(line)) found[line] = lines = [];
    else if (line.trim() !== "" && !line.trim().startsWith("#")) lines.push(line.trim());
  }
  return found;
}

test("a replica gets as many requests at once as it has slots, and the rest wait", () => {
  const backend = sections(haproxyConfiguration({ parallel: 4, replicas: byDns, apiKeys: 0 }))["backend replicas"];
  expect(backend).toContainEqual(expect.stringMatching(/^default-server maxconn 4 /));
  expect(backend).toContain("http-reuse never");
  expect(backend).toContain("default-server observe layer4 error-limit 1 on-error mark-down");
});

test("replicas are found by DNS, as many as a stack can have", () => {
  const found = sections(haproxyConfiguration({ parallel: 1, replicas: byDns, apiKeys: 0 }));
  expect(found["resolvers dns"]).toContain("nameserver docker 127.0.0.11:53");
  expect(found["backend replicas"]?.at(-1)).toBe("server-template llama- 64 llama:8080 resolvers dns init-addr none");
});

test("replicas with known addresses need no DNS", () => {
  const replicas = { addresses: ["127.0.0.1:8081", "127.0.0.1:8082"] };
  const found = sections(haproxyConfiguration({ parallel: 1, replicas, apiKeys: 0 }));
  expect(found).not.toHaveProperty("resolvers dns");
  expect(found["backend replicas"]?.slice(-2)).toEqual([
    "server llama-1 127.0.0.1:8081",
    "server llama-2 127.0.0.1:8082",
  ]);
});

test("API keys are asked for before anything but /health, and are named, not written out", () => {
  const api = sections(haproxyConfiguration({ parallel: 1, replicas: byDns, apiKeys: 2 }))["frontend api"] ?? [];
  const refusal = api.findIndex((line) => line.startsWith("http-request return status 401"));
  const answers = api.map((line, index) => [line, index] as const).filter(([line]) => line.includes("return status"));
  expect(answers.filter(([, index]) => index < refusal).map(([line]) => line)).toEqual([
    expect.stringMatching(/status 200 .* if health /),
    expect.stringMatching(/status 503 .* if health$/),
  ]);
  expect(api).toContain('acl authorized req.hdr(Authorization) -m str "Bearer ${API_KEY_0}" "Bearer ${API_KEY_1}"');
});

test("without API keys nobody is turned away", () => {
  expect(haproxyConfiguration({ parallel: 1, replicas: byDns, apiKeys: 0 })).not.toContain("status 401");
});
