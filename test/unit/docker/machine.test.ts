import { createServer } from "node:http";
import { afterEach, expect, test, vi } from "vitest";
import type { Machine } from "../../../components/docker/machine.ts";
import { checkMachine, inspectMachine } from "../../../components/docker/machine.ts";
import { UserError } from "../../../components/errors.ts";

const gib = 2 ** 30;
const memory = (total: number) => ({ weights: total * gib, kvCache: 0, compute: 0, overhead: 0, total: total * gib });
const machine: Machine = { cores: [[0], [1], [2], [3]], memoryBytes: 16 * gib, portsInUse: [] };
const demand = {
  replicas: 2,
  memory: memory(2),
  ports: { port: 8088, statsPort: 8404, registryPort: 5088 },
};

afterEach(() => {
  vi.unstubAllEnvs();
});

test("a machine that has what the stack wants is accepted", () => {
  expect(checkMachine(machine, demand)).toEqual([]);
});

test("more memory than the machine has is refused, with both figures", () => {
  const problems = checkMachine(machine, { ...demand, memory: memory(8) });
  expect(problems.map(({ key, value }) => [key, value])).toEqual([["replicas", 2]]);
  expect(problems[0]?.wrong).toMatch(/2 × 8,192 MiB .* is more than the 14,746 MiB of memory that may be locked here/);
  expect(problems[0]?.right).toMatch(/^at most 1/);
});

test("more replicas than cores, more threads than a replica's cores and a port in use are told together", () => {
  const problems = checkMachine({ ...machine, portsInUse: [8404] }, { ...demand, replicas: 5, threads: 9 });
  expect(problems.map(({ key, value, right }) => [key, value, right])).toEqual([
    ["replicas", 5, "at most 4"],
    ["threads", 9, "at most 1, or nothing: it is found out when the replica starts"],
    ["statsPort", 8404, "a port that is free"],
  ]);
});

test("a Docker Engine that is not there is the user's to start, and the message says how", async () => {
  vi.stubEnv("DOCKER_HOST", "unix:///nonexistent/docker.sock");
  const attempt = inspectMachine("dev", "127.0.0.1", demand.ports);
  await expect(attempt).rejects.toThrow(UserError);
  await expect(attempt).rejects.toThrow(/unix:\/\/\/nonexistent\/docker\.sock[\s\S]*sudo systemctl start docker/);
});

test("a port that another program listens on is found, a stack's own is not counted", async () => {
  const engine = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    const own = [{ Ports: [{ PublicPort: busy.port, PrivatePort: 8080, Type: "tcp" }] }];
    const labelled = decodeURIComponent(request.url ?? "").includes("bitnet-server.stack=mine");
    response.end(JSON.stringify(request.url?.includes("/info") ? { NCPU: 2, MemTotal: gib } : labelled ? own : []));
  });
  const other = createServer();
  const [docker, busy] = [await listen(engine), await listen(other)];

  vi.stubEnv("DOCKER_HOST", `tcp://127.0.0.1:${docker.port}`);
  try {
    const ports = { ...demand.ports, port: busy.port };
    expect((await inspectMachine("theirs", "127.0.0.1", ports)).portsInUse).toContain(busy.port);
    expect((await inspectMachine("mine", "127.0.0.1", ports)).portsInUse).not.toContain(busy.port);
  } finally {
    engine.close();
    other.close();
  }
});

async function listen(server: ReturnType<typeof createServer>): Promise<{ port: number }> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address;
}
