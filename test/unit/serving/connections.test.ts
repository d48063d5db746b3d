import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { createServer as createTcpServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { haproxyEnvironment } from "../../../components/serving/haproxy.ts";
import { ports } from "../../../components/serving/ports.ts";
import { patience } from "../../../components/serving/timeouts.ts";
import { freePort } from "../../e2e/support/net.ts";

/** HAProxy as configured for one gateway and one replica, both played by this process, on ports of this test's own. */
let folder: string;
let haproxy: ChildProcess;
let router: number | undefined;
let edge: number | undefined;
const servers: Server[] = [];

/** Connections on which the replica was asked for something, and how often it was. */
const connections = new Set<object>();
let asked = 0;

/** What the gateway was told of who asks. */
let forwardedFor: unknown;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "connections-"));
  const replica = createServer((request, response) => {
    if (request.url !== "/health") {
      connections.add(request.socket);
      asked++;
    }
    request.resume().once("end", () => response.end("{}"));
  });
  const agent = createTcpServer((socket) => socket.on("error", () => undefined).end("up ready\n"));
  const gateway = createServer((request, response) => {
    if (request.url !== "/health") forwardedFor = request.headersDistinct["x-forwarded-for"];
    setTimeout(() => response.end("{}"), request.url === "/v1/slow" ? 2500 : 0);
  });
  const moved = new Map<number, number>();
  for (const port of Object.values(ports)) moved.set(port, await freePort());
  await listen(replica, moved.get(ports.server));
  await listen(agent, moved.get(ports.agent));
  await listen(gateway, moved.get(ports.gateway));
  router = moved.get(ports.router);
  edge = moved.get(ports.edge);

  const file = join(folder, "haproxy.cfg");
  const text = readFileSync("docker/load-balancer/haproxy.cfg", "utf8");
  // A second of patience stands for ten minutes.
  const impatient = text.replaceAll(` ${patience}s`, " 1s");
  writeFileSync(
    file,
    impatient.replace(/(:|agent-port )(\d{4})\b/g, (_, before: string, port: string) => {
      return `${before}${moved.get(Number(port)) ?? port}`;
    }),
  );
  const env = { ...haproxyEnvironment({ parallel: 4 }), PATH: `${process.env.PATH ?? ""}:/usr/sbin` };
  haproxy = spawn("haproxy", ["-f", file], { env, stdio: "ignore" });
});

afterAll(async () => {
  haproxy.kill();
  await once(haproxy, "exit");
  for (const server of servers) server.close();
  await rm(folder, { recursive: true });
});

async function listen(server: Server, port: number | undefined): Promise<void> {
  servers.push(server);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}

test("no request meets a connection that its replica closes: each has one of its own, also from one client", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const clients = new Set<object>();
  const ask = async (path: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: router, path, method: "POST", agent };
      request(options, (response) => {
        clients.add(response.socket);
        response.resume().once("end", () => {
          resolve(response.statusCode);
        });
      })
        .on("error", reject)
        .end("{}");
    });
  await vi.waitUntil(async () => (await ask("/tokenize").catch(() => 0)) === 200, { timeout: 20_000, interval: 100 });
  await vi.waitUntil(async () => (await ask("/completion")) === 200, { timeout: 20_000, interval: 100 });
  clients.clear();
  for (const path of ["/tokenize", "/completion", "/tokenize", "/completion"]) expect(await ask(path)).toBe(200);
  agent.destroy();
  expect(clients.size).toBe(1);
  expect(connections.size).toBe(asked);
});

test("behind AWS's load balancer the gateway is told the address that this one saw, not what the client says of itself", async () => {
  const ask = async (headers: Record<string, string>) =>
    (await fetch(`http://127.0.0.1:${edge ?? 0}/v1/models`, { headers }).catch(() => undefined))?.status;
  await vi.waitUntil(async () => (await ask({})) === 200, { timeout: 20_000, interval: 100 });
  expect(await ask({ "x-forwarded-for": "203.0.113.9, 192.0.2.7" })).toBe(200);
  expect(forwardedFor).toEqual(["192.0.2.7"]);
});

test("a plain answer that takes longer than an engine may be silent is not cut", async () => {
  const ask = async (path: string) =>
    (await fetch(`http://127.0.0.1:${edge ?? 0}${path}`).catch(() => undefined))?.status;
  await vi.waitUntil(async () => (await ask("/v1/models")) === 200, { timeout: 20_000, interval: 100 });
  expect(await ask("/v1/slow")).toBe(200);
});
