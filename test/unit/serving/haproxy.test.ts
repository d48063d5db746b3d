import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import type { HaproxyOptions } from "../../../components/serving/haproxy.ts";
import { haproxyEnvironment, dnsNames } from "../../../components/serving/haproxy.ts";
import { ports } from "../../../components/serving/ports.ts";
import * as timeouts from "../../../components/serving/timeouts.ts";
import { readConfig } from "../../../gateway/src/config.ts";

const folder = "docker/load-balancer";
const text = readFileSync(join(folder, "haproxy.cfg"), "utf8");

/** Sections by name, each as its lines without comments; of `.if`, both sides. */
function sections(): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  let lines: string[] = [];
  for (const line of text.split("\n").filter((each) => !each.startsWith("."))) {
    if (/^[a-z]/.test(line)) found[line] = lines = [];
    else if (line.trim() !== "" && !line.trim().startsWith("#")) lines.push(line.trim());
  }
  return found;
}

const scratch = mkdtempSync(join(tmpdir(), "haproxy-"));
const certificate = join(scratch, "certificate.pem");

beforeAll(() => {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", join(scratch, "key.pem")];
  execFileSync("openssl", ["req", "-x509", ...key, "-subj", "/CN=a", "-out", certificate], { stdio: "ignore" });
  appendFileSync(certificate, readFileSync(join(scratch, "key.pem")));
});

afterAll(() => {
  rmSync(scratch, { recursive: true });
});

const targets: [string, HaproxyOptions][] = [
  ["the docker target", { parallel: 4, dns: "127.0.0.11:53" }],
  ["the docker target on an address that others reach", { parallel: 1, dns: "127.0.0.11:53", sourceLimit: 100 }],
  ["the docker target with HTTPS", { parallel: 1, dns: "127.0.0.11:53", tls: certificate }],
  ["the aws target", { parallel: 2, keepAlive: 3620 }],
];

describe("this machine's HAProxy takes the configuration", () => {
  const check = (env: Record<string, string>) => {
    const PATH = `${process.env.PATH ?? ""}:/usr/sbin`;
    return spawnSync("haproxy", ["-c", "-f", "haproxy.cfg"], { cwd: folder, env: { PATH, ...env }, encoding: "utf8" });
  };

  test.each(targets)("of %s", (_, options) => {
    const { status, stderr } = check(haproxyEnvironment(options));
    expect([status, stderr]).toEqual([0, expect.not.stringMatching(/ALERT|WARNING/)]);
  });

  test("but not one that a variable is missing from", () => {
    expect(check({ KEEP_ALIVE: "120" }).status).toBe(1);
  });
});

test("no variable is written that the configuration does not read, and none read that is not written", () => {
  const read = [...text.matchAll(/\$\{(\w+)\}|defined\((\w+)\)/g)].map(([, value, flag]) => value ?? flag);
  const written = targets.flatMap(([, options]) => Object.keys(haproxyEnvironment(options)));
  expect(new Set(written)).toEqual(new Set(read));
});

test("HAProxy's ports and names are those that all others use", () => {
  const found = sections();
  const bound = Object.entries(found).map(([name, lines]) => [
    name,
    new Set(lines.flatMap((line) => /^bind \S*?:(\d+)/.exec(line)?.[1] ?? []).map(Number)),
  ]);
  expect(Object.fromEntries(bound)).toMatchObject({
    "frontend edge": new Set([ports.edge]),
    "frontend health": new Set([ports.health]),
    "frontend router": new Set([ports.router]),
    "frontend statistics": new Set([ports.statistics]),
  });
  const servers = Object.values(found)
    .flat()
    .filter((line) => line.startsWith("server"))
    .map((line) => /(\S+):(\d+)/.exec(line)?.slice(1));
  const [one, two] = dnsNames.gateways;
  for (const gateway of [one, two, "127.0.0.1"]) {
    expect(servers).toContainEqual([gateway, String(ports.gateway)]);
    expect(servers).toContainEqual([gateway, String(ports.gatewayMetrics)]);
  }
  for (const replica of [dnsNames.replicas, "127.0.0.1"])
    expect(servers).toContainEqual([replica, String(ports.server)]);
  expect(text.match(/agent-port \d+/g)).toEqual([`agent-port ${ports.agent}`, `agent-port ${ports.agent}`]);
});

test("the ports of what shares one network namespace are all different", () => {
  expect(new Set(Object.values(ports)).size).toBe(Object.keys(ports).length);
});

test("HAProxy's timeouts are those of timeouts.ts", () => {
  const { patience, check, agentInterval, resolve } = timeouts;
  const { defaults = [], "backend replicas": replicas = [], "resolvers dns": dns = [] } = sections();
  for (const kind of ["client", "server", "queue"]) expect(defaults).toContain(`timeout ${kind} ${patience}s`);
  expect(sections()["backend gateways"]).toContain(`timeout server ${timeouts.wholeAnswer}s`);
  expect(text).toContain(`hard-stop-after ${patience}s`);
  expect(defaults).toContain(`timeout check ${check.timeout}s`);
  const checks = `check inter ${check.interval}s fall ${check.failures} rise 1`;
  expect(replicas.join("\n")).toContain(`${checks} agent-check agent-port 8081 agent-inter ${agentInterval * 1000}ms`);
  const { interval, failures } = timeouts.gatewayCheck;
  expect(text).toContain(`default-server check inter ${interval * 1000}ms fall ${failures} rise 1 observe`);
  expect(dns).toEqual(
    expect.arrayContaining([`timeout resolve ${resolve.interval}s`, `hold obsolete ${resolve.obsolete}s`]),
  );
});

test("the edge refuses the same bodies as the gateway", () => {
  const { bodyLimit } = readConfig({ UPSTREAM_URL: "http://b", MODEL_ALIAS: "m", CONTEXT_SIZE: "1" });
  expect(sections()["frontend edge"]).toContain(
    `http-request deny deny_status 413 if { req.hdr_val(content-length) gt ${bodyLimit} }`,
  );
});

test("all that the frontends take together is less than HAProxy takes: none can starve /health", () => {
  const limits = Object.entries(sections()).map(([name, lines]) => [
    name,
    Number(lines.find((line) => line.startsWith("maxconn "))?.slice("maxconn ".length) ?? 0),
  ]);
  const { global = 0, ...frontends } = Object.fromEntries(limits) as Record<string, number>;
  const sum = Object.values(frontends).reduce((total, limit) => total + limit, 0);
  // The internal frontend has none: what it takes was let in by the gateways, 512 requests each.
  expect(sum + 2 * 512).toBeLessThan(global);
});

test("what ended one replica is not asked of the next: only a request that none has begun is repeated", () => {
  expect(text.match(/retry-on .*/g)).toEqual([
    "retry-on conn-failure",
    "retry-on conn-failure 503",
    "retry-on conn-failure 503",
  ]);
});

test("HAProxy sees headers and paths, but no body: what JSON says is the gateway's to read", () => {
  const script = readFileSync(join(folder, "is-free.lua"), "utf8");
  // Every fetch, converter and option by which either could come by a body.
  for (const way of [
    /\b(req|res)s?[.:_]?(body|payload|buf|dup|get|data)/,
    /\bpayload|wait-for-body|buffer-request/,
    /json_query/,
  ]) {
    expect(text).not.toMatch(way);
    expect(script).not.toMatch(way);
  }
});

const openAiError = z.strictObject({
  error: z.strictObject({
    message: z.string().min(1),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});

test("every error of HAProxy's own has OpenAI's form", () => {
  const bodies = [...text.matchAll(/status (\d+) .*?string '([^']*)'/g)]
    .map(([, status, json]) => ({ status: Number(status), body: JSON.parse(json ?? "") as object }))
    // /health has a form of its own, which the image's and AWS's checks do not read.
    .filter(({ body }) => !("status" in body));
  const statuses = bodies.map(({ status }) => status);
  expect(statuses).toEqual(expect.arrayContaining([400, 404, 408, 413, 429, 500, 502, 503, 504]));
  for (const { body } of bodies) openAiError.parse(body);
});
