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
import { freePort } from "../../e2e/support/net.ts";

/** HAProxy as configured for one gateway and one replica, both played by this process, on ports of this test's own. */
let folder: string;
let haproxy: ChildProcess;
let router: number | undefined;
const servers: Server[] = [];

/** Connections on which the replica was asked for something, and how often it was. */
const connections = new Set<object>();
let asked = 0;

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
  const gateway = createServer((_, response) => response.end("{}"));
  const moved = new Map<number, number>();
  for (const port of Object.values(ports)) moved.set(port, await freePort());
  await listen(replica, moved.get(ports.server));
  await listen(agent, moved.get(ports.agent));
  await listen(gateway, moved.get(ports.gateway));
  router = moved.get(ports.router);

  const file = join(folder, "haproxy.cfg");
  const text = readFileSync("docker/load-balancer/haproxy.cfg", "utf8");
  writeFileSync(
    file,
    text.replace(/(:|agent-port )(\d{4})\b/g, (_, before: string, port: string) => {
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
