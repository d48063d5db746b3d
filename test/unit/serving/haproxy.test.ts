import { describe, expect, test } from "vitest";
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
  expect(backend).toContainEqual(expect.stringMatching(/^default-server disabled maxconn 4 /));
  expect(backend).toContain("http-reuse never");
  expect(backend).toContain("default-server observe layer4 error-limit 1 on-error mark-down");
});

test("what waits is bounded, after keys were asked for, and leaves connections for /health", () => {
  const found = sections(haproxyConfiguration({ parallel: 4, replicas: byDns, apiKeys: 1 }));
  const api = found["frontend api"] ?? [];
  const bound =
    /^http-request return status 503 .* if \{ avg_queue\(replicas\) ge 240 \} \|\| \{ queue\(replicas\) ge (\d+) \}$/;
  const at = api.findIndex((line) => bound.test(line));
  expect(at).toBeGreaterThan(api.findIndex((line) => line.includes("return status 401")));
  const most = Number(bound.exec(api[at] ?? "")?.[1]);
  const connections = found.global?.find((line) => line.startsWith("maxconn "))?.slice("maxconn ".length);
  expect(most).toBeLessThan(Number(connections));
});

test("replicas are found by DNS, as many as a stack can have", () => {
  const found = sections(haproxyConfiguration({ parallel: 1, replicas: byDns, apiKeys: 0 }));
  expect(found["resolvers dns"]).toContain("nameserver docker 127.0.0.11:53");
  expect(found["backend replicas"]).toContain("server-template llama- 64 llama:8080 resolvers dns init-addr none");
});

test("replicas with known addresses need no DNS", () => {
  const replicas = { addresses: ["127.0.0.1:8081", "127.0.0.1:8082"] };
  const found = sections(haproxyConfiguration({ parallel: 1, replicas, apiKeys: 0 }));
  expect(found).not.toHaveProperty("resolvers dns");
  expect(found["backend replicas"]?.filter((line) => line.startsWith("server"))).toEqual([
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

describe("a conversation's next request is recognised", () => {
  const backend =
    sections(haproxyConfiguration({ parallel: 1, replicas: byDns, apiKeys: 0 }))["backend replicas"] ?? [];
  // PCRE's possessive *+ and ++ are JavaScript's * and +, only faster.
  const pattern = /regsub\("(.*)","\\1"\)/.exec(backend.join("\n"))?.[1]?.replaceAll(/([*+])\+/g, "$1") ?? "";
  const messages = (list: readonly object[]) => JSON.stringify(list);
  const python = (list: readonly object[]) =>
    JSON.stringify(list, null, 1).replaceAll(/\n\s*/g, "").replaceAll(",", ", ");

  const first = [
    { role: "system", content: "Be {brief}." },
    { role: "user", content: String.raw`Is },{"role":"assistant" JSON, or \",{"content":" ?` },
  ];
  test.each([
    [
      "an answer and a question",
      messages,
      [
        { role: "assistant", content: "}," },
        { role: "user", content: "[{}]" },
      ],
    ],
    [
      "spaces as Python has them",
      python,
      [
        { role: "assistant", content: "No" },
        { role: "user", content: "Why" },
      ],
    ],
    [
      "an answer with its content before its role",
      messages,
      [
        { content: 'if (a) { say("b") },{', refusal: null, role: "assistant" },
        { role: "user", content: "Why" },
      ],
    ],
    [
      "a call of tools and what they said",
      messages,
      [
        { role: "assistant", content: null, tool_calls: [{ function: { name: "f", arguments: '{"a":[1]}' } }] },
        { role: "tool", content: "1" },
        { role: "tool", content: "2" },
      ],
    ],
  ])("%s", (_, json, added) => {
    const [, before] = new RegExp(pattern).exec(json([...first, ...added])) ?? [];
    expect(before).toBe(json(first).slice(0, -1));
    // The turn after that one.
    const third = [...first, ...added, { role: "assistant", content: "Yes" }, { role: "user", content: "Oh" }];
    expect(new RegExp(pattern).exec(json(third))?.[1]).toBe(json([...first, ...added]).slice(0, -1));
  });

  test("but not one that begins a conversation, whatever it says", () => {
    expect(messages(first)).not.toMatch(new RegExp(pattern));
  });
});

test("nobody waits for the replica that remembers the conversation", () => {
  const backend = sections(haproxyConfiguration({ parallel: 1, replicas: byDns, apiKeys: 0 }))["backend replicas"];
  expect(backend?.filter((line) => line.startsWith("use-server"))).toEqual([
    "use-server llama-%[var(txn.home)] if { queue(replicas) eq 0 } { var(txn.home),lua.is_free -m bool }",
  ]);
});

test("a single replica is not chosen, so nothing is remembered", () => {
  const replicas = { addresses: ["127.0.0.1:8081"] };
  const text = haproxyConfiguration({ parallel: 1, replicas, apiKeys: 0 });
  expect(text).not.toMatch(/lua|stick|use-server|txn\.(now|before|home)/);
});
