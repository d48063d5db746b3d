import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import type { Machine } from "../../../components/docker/machine.ts";
import { checkMachine, hasRoomForNext, inspectMachine } from "../../../components/docker/machine.ts";
import { UserError } from "../../../components/errors.ts";

const gib = 2 ** 30;
const memory = (total: number) => ({ weights: total * gib, kvCache: 0, compute: 0, overhead: 0, total: total * gib });
const machine: Machine = {
  cores: [[0], [1], [2], [3]],
  cpuIdsKnown: true,
  memoryBytes: 16 * gib,
  replicasBytes: 0,
  portsInUse: [],
  hasAddress: true,
};
const demand = {
  replicas: 2,
  memory: memory(2),
  bindAddress: "192.0.2.1",
  ports: { port: 8088, statsPort: 8404, monitoringPort: 8405, registryPort: 5088 },
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

test("more replicas than cores, more threads than a replica's cores and ports in use are told together", () => {
  const problems = checkMachine({ ...machine, portsInUse: [8404, 8405] }, { ...demand, replicas: 5, threads: 9 });
  expect(problems.map(({ key, value, right }) => [key, value, right])).toEqual([
    ["replicas", 5, "at most 4"],
    ["threads", 9, "at most 1; or unset, and the replica takes one for each of its cores"],
    ["statsPort", 8404, "a port that is free"],
    ["monitoringPort", 8405, "a port that is free"],
  ]);
});

test("an address that is not this machine's is refused", () => {
  expect(checkMachine({ ...machine, hasAddress: false }, demand)).toMatchObject([
    { key: "bindAddress", value: "192.0.2.1", wrong: "this machine has no such address" },
  ]);
});

test.each([
  ["nothing runs yet", 0, 14, true],
  ["two of the same size fit", 7, 7, true],
  ["two of the same size do not fit", 8, 8, false],
  ["the new one is small, but the old one is large", 13, 2, false],
])("room for a new replica beside the old one: %s", (_, running, next, expected) => {
  expect(hasRoomForNext({ ...machine, replicasBytes: running * gib }, memory(next))).toBe(expected);
});

const mine = { id: "0123", stack: "dev" };

test("a Docker Engine that is not there is the user's to start, and the message says how", async () => {
  vi.stubEnv("DOCKER_HOST", "unix:///nonexistent/docker.sock");
  const attempt = inspectMachine(mine, "127.0.0.1", demand.ports);
  await expect(attempt).rejects.toThrow(UserError);
  await expect(attempt).rejects.toThrow(/unix:\/\/\/nonexistent\/docker\.sock[\s\S]*sudo systemctl start docker/);
});

test.each([
  ["of the stack's own is not counted", "0123", []],
  ["of a stack of the same name, from another checkout, is in use", "4567", ["port"]],
  ["of the stack's own from before stacks had ids is not counted", undefined, []],
])("a port %s", async (_, id, expected) => {
  await using other = await start(createServer());
  const ports = { ...demand.ports, port: other.port };
  await using docker = await engine([{ role: "load-balancer", port: other.port, id }]);
  vi.stubEnv("DOCKER_HOST", docker.host);
  const { portsInUse } = await inspectMachine(mine, "127.0.0.1", ports);
  expect(portsInUse).toEqual(expected.map(() => other.port));
});

test("to a stack that is not there yet, no container is its own", async () => {
  await using other = await start(createServer());
  const ports = { ...demand.ports, port: other.port };
  await using docker = await engine([{ role: "load-balancer", port: other.port, id: "0123" }]);
  vi.stubEnv("DOCKER_HOST", docker.host);
  const machine = await inspectMachine({ id: undefined, stack: "dev" }, "127.0.0.1", ports);
  expect(machine.portsInUse).toEqual([other.port]);
});

test("a free port that two settings name is not in use by another program", async () => {
  const other = await start(createServer());
  await other[Symbol.asyncDispose]();
  await using docker = await engine([]);
  vi.stubEnv("DOCKER_HOST", docker.host);
  const ports = { port: other.port, statsPort: other.port, registryPort: other.port };
  expect((await inspectMachine(mine, "127.0.0.1", ports)).portsInUse).toEqual([]);
});

test("what the stack's running replicas may use of the memory is their limits", async () => {
  await using docker = await engine([
    { role: "replica", memory: 2, id: mine.id },
    { role: "replica", memory: 3, id: mine.id },
    { role: "replica", memory: 5, id: "4567" },
    { role: "registry", id: mine.id },
  ]);
  vi.stubEnv("DOCKER_HOST", docker.host);
  expect((await inspectMachine(mine, "127.0.0.1", demand.ports)).replicasBytes).toBe(5 * gib);
});

test("whether this machine has the address is asked where the engine is here, too", async () => {
  await using docker = await engine([]);
  vi.stubEnv("DOCKER_HOST", docker.host);
  expect((await inspectMachine(mine, "192.0.2.1", demand.ports)).hasAddress).toBe(true);
  if (platform() !== "linux") return;
  const folder = mkdtempSync(join(tmpdir(), "machine-test-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  await using local = await engine([], join(folder, "docker.sock"));
  vi.stubEnv("DOCKER_HOST", local.host);
  expect((await inspectMachine(mine, "192.0.2.1", demand.ports)).hasAddress).toBe(false);
  for (const address of ["127.0.0.1", "0.0.0.0"]) {
    expect((await inspectMachine(mine, address, demand.ports)).hasAddress).toBe(true);
  }
});

function idLabel({ id }: Pick<Container, "id">): Record<string, string> {
  return id === undefined ? {} : { "bitnet-server.id": id };
}

interface Container {
  role: string;
  /** The id of its stack, whose name is "dev". Undefined: it was made before stacks had ids. */
  id?: string | undefined;
  port?: number;
  /** Its limit, in GiB. */
  memory?: number;
}

/** A Docker Engine of two CPUs, whose containers are of stacks named "dev". @param socket default: a port */
async function engine(containers: Container[], socket?: string) {
  const server = createServer((request, response) => {
    const url = decodeURIComponent(request.url ?? "");
    const [, id] = /\/containers\/(\d+)\/json/.exec(url) ?? [];
    const listed = containers.map(({ role, port, ...labels }, index) => ({
      Id: String(index),
      Labels: { "bitnet-server.stack": "dev", "bitnet-server.role": role, ...idLabel(labels) },
      Ports: port === undefined ? [] : [{ PublicPort: port, PrivatePort: 8080, Type: "tcp" }],
    }));
    const inspected = { HostConfig: { Memory: (containers[Number(id)]?.memory ?? 0) * gib } };
    const list = url.includes("bitnet-server.stack") ? listed : [];
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(url.includes("/info") ? { NCPU: 2, MemTotal: gib } : id ? inspected : list));
  });
  return start(server, socket);
}

async function start(server: ReturnType<typeof createServer>, socket?: string) {
  await new Promise<void>((resolve) => {
    if (socket === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(socket, resolve);
  });
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return {
    port,
    host: socket === undefined ? `tcp://127.0.0.1:${port}` : `unix://${socket}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
