import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import type { Machine } from "../../components/docker/machine.ts";
import type { Problem } from "../../components/errors.ts";
import { privateModelName } from "../../components/image/privateModel.ts";
import type { Run } from "./program.ts";
import { defaultStack, idOf, ofType, runProgram } from "./program.ts";

const containers = "docker:index/container:Container";
const digest = `registry/bitnet@sha256:${"0".repeat(64)}`;

// The one thing that is not ours to say here: which machine the test runs on.
const machine: Machine = {
  cores: [
    [0, 4],
    [1, 5],
    [2, 6],
    [3, 7],
  ],
  cpuIdsKnown: true,
  memoryBytes: 16 * 2 ** 30,
  replicasBytes: 0,
  portsInUse: [],
  hasAddress: true,
};
let inspected: Machine;
let mayRaise = true;
vi.mock(import("../../components/docker/machine.ts"), async (original) => ({
  ...(await original()),
  inspectMachine: () => Promise.resolve(inspected),
}));
// Nor which images are where an earlier update left them.
let onEngine: Set<string>;
let inRegistry: Set<string>;
vi.mock(import("../../components/docker/builtImages.ts"), () => ({
  tagsOnEngine: () => Promise.resolve(onEngine),
  tagsInRegistry: () => Promise.resolve(inRegistry),
}));
// Nor which containers somebody took off their networks.
let offNetwork: string[];
vi.mock(import("../../components/docker/networkDrift.ts"), async (original) => ({
  ...(await original()),
  offNetwork: (id) => Promise.resolve(id === undefined ? [] : offNetwork),
}));
vi.mock(import("../../components/docker/memlock.ts"), () => ({ mayRaiseMemlock: () => Promise.resolve(mayRaise) }));
beforeEach(() => {
  inspected = machine;
  [onEngine, inRegistry] = [new Set(), new Set()];
  offNetwork = [];
  mayRaise = true;
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** What the engine is asked for; the mocks see only a part of it. */
interface Request {
  getName: () => string;
  getDeletebeforereplace: () => boolean;
  getDependenciesList: () => string[];
  getIgnorechangesList: () => string[];
  getType: () => string;
  getReplaceonchangesList: () => string[];
}

function named(run: Run, part: string): Record<string, unknown>[] {
  return ofType(run, containers)
    .filter(({ name }) => name.includes(part))
    .map(({ inputs }) => inputs);
}

test("a stack is a registry, images, networks, replicas, a load balancer, two gateways and a smoke test", async () => {
  const run = await runProgram({ replicas: "2" });
  expect(
    run.resources
      .filter(({ type }) => !type.startsWith("bitnet-server:"))
      .map(({ type, name }) => `${type} ${name}`)
      .toSorted(),
  ).toEqual([
    "command:local:Command fleet-gateway-1-ready",
    "command:local:Command fleet-gateway-2-ready",
    "command:local:Command fleet-replica-0-ready",
    "command:local:Command fleet-replica-1-ready",
    "command:local:Command images",
    "command:local:Command old-images",
    "command:local:Command smoke-test",
    "docker:index/container:Container fleet-gateway-1",
    "docker:index/container:Container fleet-gateway-2",
    "docker:index/container:Container fleet-load-balancer",
    "docker:index/container:Container fleet-replica-0",
    "docker:index/container:Container fleet-replica-1",
    "docker:index/container:Container registry",
    "docker:index/image:Image bitnet",
    "docker:index/image:Image fleet-gateway-image",
    "docker:index/image:Image fleet-load-balancer-image",
    "docker:index/image:Image registry-image",
    "docker:index/network:Network fleet",
    "docker:index/network:Network fleet-gateways",
    "docker:index/network:Network fleet-outside",
    "docker:index/volume:Volume registry-blobs",
    "random:index/randomId:RandomId stack-id",
  ]);
});

test("monitoring adds Prometheus, its figures' volume and a dashboard on loopback, where everything else is found", async () => {
  const [before, run] = [await runProgram(), await runProgram({ monitoring: "true", monitoringPort: "9000" })];
  const known = new Set(before.resources.map(({ name }) => name));
  const added = run.resources.filter(({ name }) => !known.has(name)).map(({ type, name }) => `${type} ${name}`);
  expect(added.toSorted()).toEqual([
    "docker:index/container:Container fleet-monitoring",
    "docker:index/image:Image fleet-monitoring-image",
    "docker:index/volume:Volume fleet-monitoring-data",
  ]);
  const [prometheus] = named(run, "monitoring");
  expect(prometheus).toMatchObject({
    ports: [{ internal: 9090, external: 9000, ip: "127.0.0.1" }],
    volumes: [{ volumeName: "fleet-monitoring-data-1234567", containerPath: "/var/lib/prometheus" }],
    networksAdvanced: [
      { name: "fleet-1234567" },
      { name: "fleet-gateways-1234567" },
      { name: "fleet-outside-1234567" },
    ],
    ...{ readOnly: true, capabilities: { drops: ["ALL"] }, memory: 512, memorySwap: 512 },
  });
  expect(run.outputs.dashboardUrl).toBe("http://127.0.0.1:9000/user/");
  expect(before.outputs).not.toHaveProperty("dashboardUrl");
});

test("a replica locks its memory, and may do next to nothing else", async () => {
  const [replica] = named(await runProgram(), "replica");
  expect(replica).toMatchObject({
    image: digest,
    capabilities: { drops: ["ALL"], adds: ["CAP_IPC_LOCK", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"] },
    ulimits: [
      { name: "nproc", soft: 8192, hard: 8192 },
      { name: "memlock", soft: -1, hard: -1 },
    ],
    securityOpts: ["no-new-privileges"],
    readOnly: true,
    restart: "unless-stopped",
    logOpts: { "max-size": "10m", "max-file": "5" },
  });
  expect(replica?.memory).toBe(replica?.memorySwap);
  expect(replica).not.toHaveProperty("ports");
});

test("a daemon that may not raise the limit is not asked to: found out, or as the setting says", async () => {
  const limits = async (config: Record<string, string>) => {
    const [replica] = named(await runProgram(config), "replica");
    return (replica?.ulimits as { name: string }[]).map(({ name }) => name);
  };
  expect(await limits({ memlock: "inherit" })).toEqual(["nproc"]);
  mayRaise = false;
  expect(await limits({})).toEqual(["nproc"]);
  expect(await limits({ memlock: "unlimited" })).toEqual(["nproc", "memlock"]);
});

test("every container has a limit of memory and of processes, no capability that it does not need, and no disk", async () => {
  const run = await runProgram({ replicas: "2" });
  const all = ofType(run, containers);
  expect(all).toHaveLength(6);
  for (const { inputs } of all) {
    expect(inputs).toMatchObject({
      capabilities: { drops: ["ALL"] },
      securityOpts: ["no-new-privileges"],
      readOnly: true,
      memory: expect.any(Number) as number,
      memorySwap: inputs.memory,
      ulimits: expect.arrayContaining([{ name: "nproc", soft: 8192, hard: 8192 }]) as unknown[],
    });
  }
});

test("replicas and gateways are on internal networks without an address of the host's, where they meet HAProxy alone", async () => {
  const run = await runProgram({ replicas: "2" });
  const networks = ofType(run, "docker:index/network:Network");
  for (const internal of ["fleet", "fleet-gateways"]) {
    expect(networks.find(({ name }) => name === internal)?.inputs).toMatchObject({
      internal: true,
      options: { "com.docker.network.bridge.inhibit_ipv4": "true" },
    });
  }
  const joined = ofType(run, containers).map(({ name, inputs }) => [
    name,
    ((inputs.networksAdvanced ?? []) as { name: string }[]).map((network) => network.name),
  ]);
  expect(Object.fromEntries(joined)).toMatchObject({
    "fleet-replica-0": ["fleet-1234567"],
    "fleet-replica-1": ["fleet-1234567"],
    "fleet-gateway-1": ["fleet-gateways-1234567"],
    "fleet-gateway-2": ["fleet-gateways-1234567"],
    "fleet-load-balancer": ["fleet-1234567", "fleet-gateways-1234567", "fleet-outside-1234567"],
  });
});

test("a container that was stopped is made anew: only a new one is waited for and asked", async () => {
  const requests = vi.spyOn(MockMonitor.prototype, "registerResource");
  await runProgram({ replicas: "2" });
  const ofContainers = requests.mock.calls
    .map(([request]) => request as Request)
    .filter((request) => request.getType() === containers);
  expect(ofContainers.map((request) => request.getReplaceonchangesList())).toEqual(Array(6).fill(["mustRun"]));
});

test("a container off its network is made anew, for its new host name; the others stay as they are", async () => {
  const hostnames = async () =>
    ofType(await runProgram({ replicas: "2" }), containers)
      .filter(({ inputs }) => inputs.hostname !== undefined)
      .map(({ name, inputs }) => [name, inputs.hostname]);
  expect(await hostnames()).toEqual([]);

  offNetwork = ["fleet-replica-1-abcdef0", "fleet-gateway-2-abcdef0", "fleet-load-balancer-abcdef0"];
  const [first, second] = [await hostnames(), await hostnames()];
  expect(first.map(([name]) => name).sort()).toEqual(["fleet-gateway-2", "fleet-load-balancer", "fleet-replica-1"]);
  // Another name each time: one that comes off again is made anew again.
  expect(new Set([...first, ...second].map(([, hostname]) => hostname)).size).toBe(6);
});

test("each replica is waited for until it has answered a question, before the next one is touched", async () => {
  const run = await runProgram({ replicas: "2", smokePrompt: "2 + 2?", smokeAnswer: "4" });
  const ready = run.resources.filter(({ name }) => name.endsWith("-ready"));
  // The gateways last: if a new model does not start, they go on with the old one's prompts.
  expect(ready.map(({ name }) => name)).toEqual([
    ...["fleet-replica-1-ready", "fleet-replica-0-ready"],
    ...["fleet-gateway-1-ready", "fleet-gateway-2-ready"],
  ]);
  expect(ready.slice(0, 2).map(({ inputs }) => inputs.environment)).toEqual(
    [1, 0].map((index) => ({ AWAIT_REPLICA: JSON.stringify({ id: `fleet-replica-${index}-id`, timeout: 600 }) })),
  );
  for (const { envs } of named(run, "replica")) {
    expect(envs).toEqual(expect.arrayContaining(["SMOKE_PROMPT=2 + 2?", "SMOKE_ANSWER=4"]));
  }
});

test.each([
  ["four, if parallel is not set", {}, 4],
  ["what parallel says", { parallel: "3" }, 3],
  ["one, where each replica has one core", { replicas: "4" }, 1],
  ["one with bitnet.cpp", { engine: "bitnet.cpp" }, 1],
])(
  "replicas, gateways and load balancer agree how many requests a replica answers at once: %s",
  async (_, set, slots) => {
    const run = await runProgram(set);
    for (const part of ["fleet-replica", "fleet-gateway", "fleet-load-balancer"]) {
      for (const { envs } of named(run, part)) expect(envs).toContain(`PARALLEL=${slots}`);
    }
  },
);

test("replicas have cores of their own, with both hardware threads", async () => {
  const run = await runProgram({ replicas: "2" });
  const replicas = named(run, "replica").toReversed(); // the last one is made first
  expect(replicas.map(({ cpuSet }) => cpuSet)).toEqual(["0,1,4,5", "2,3,6,7"]);
  for (const { envs } of replicas) expect(envs).toContain("THREADS=2");
});

test("replicas of which nobody knows which CPUs are theirs are not pinned, and have as many threads", async () => {
  inspected = { ...machine, cpuIdsKnown: false };
  const [replica] = named(await runProgram({ replicas: "2" }), "replica");
  expect(replica).not.toHaveProperty("cpuSet");
  expect(replica?.envs).toContain("THREADS=2");
});

test.each([
  ["a single one where two fit: the new one first", "1", 1, false, 0],
  ["a single one where two do not fit: the old one first, which interrupts, and is said", "1", 15, true, 1],
  ["several: the old one first, one at a time, and nothing is interrupted", "2", 15, true, 0],
])("replacing replicas, %s", async (_, replicas, runningGiB, oldFirst, warnings) => {
  inspected = { ...machine, replicasBytes: runningGiB * 2 ** 30 };
  const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
  const requests = vi.spyOn(MockMonitor.prototype, "registerResource");
  await runProgram({ replicas });
  const replica = requests.mock.calls
    .map(([request]) => request as Request)
    .find((it) => it.getName() === "fleet-replica-0");
  expect(replica?.getDeletebeforereplace()).toBe(oldFirst);
  expect(warn).toHaveBeenCalledTimes(warnings);
});

test("the load balancer alone is reached from outside, on loopback unless another address is set", async () => {
  const [balancer] = named(await runProgram({ port: "9000" }), "load-balancer");
  expect(balancer?.ports).toEqual([
    { internal: 8000, external: 9000, ip: "127.0.0.1" },
    { internal: 8404, external: 8404, ip: "127.0.0.1" },
  ]);
});

test("opened to others, a key is generated, asked for, and secret", async () => {
  const run = await runProgram({ bindAddress: "0.0.0.0" });
  expect(ofType(run, "random:index/randomPassword:RandomPassword")).toHaveLength(1);
  expect(run.outputs).toMatchObject({ apiKey: "generated-password", url: "http://127.0.0.1:8088/v1" });
  expect(run.secretOutputs).toEqual(["apiKey"]);
  for (const { envs } of named(run, "fleet-gateway")) expect(keysOf(envs)).toMatchObject([{ name: "key-1" }]);
  expect(named(run, "load-balancer")[0]?.envs).toContain("SOURCE_LIMIT=500");
});

test("on loopback no key is asked for, unless one is set, and only this machine's names are answered to", async () => {
  const open = await runProgram({ bindAddress: "127.0.0.2" });
  expect(open.outputs).not.toHaveProperty("apiKey");
  for (const { envs } of named(open, "fleet-gateway")) {
    expect(JSON.stringify(envs)).not.toContain("API_KEYS");
    expect(envs).toContain("ALLOWED_HOSTS=localhost,127.0.0.1,[::1],127.0.0.2");
  }
  expect(JSON.stringify(named(open, "load-balancer")[0]?.envs)).not.toContain("SOURCE_LIMIT");
  const run = await runProgram({ apiKeys: '["the-users-own-key","a-second-key"]' });
  for (const { envs } of named(run, "fleet-gateway")) {
    expect(keysOf(envs).map(({ name }) => name)).toEqual(["key-1", "key-2"]);
  }
  expect(run.outputs.apiKey).toBe("the-users-own-key");
  expect(run.secretOutputs).toEqual(["apiKey"]);
});

/** What the gateways know of the keys. */
function keysOf(envs: unknown): { name: string; sha256: string; limits: object }[] {
  const found = (envs as string[]).find((variable) => variable.startsWith("API_KEYS="));
  return JSON.parse(found?.slice("API_KEYS=".length) ?? "[]") as ReturnType<typeof keysOf>;
}

test("keys have names and limits; the gateways know their hashes", async () => {
  const apiKeys = { web: "the-key-of-web", batch: { key: "the-key-of-batch", requestsPerMinute: 60 } };
  const run = await runProgram({ apiKeys: JSON.stringify(apiKeys) });
  const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");
  for (const { envs } of named(run, "fleet-gateway")) {
    expect(keysOf(envs)).toEqual([
      { name: "web", sha256: sha256("the-key-of-web"), limits: {} },
      { name: "batch", sha256: sha256("the-key-of-batch"), limits: { requestsPerMinute: 60 } },
    ]);
  }
});

test("a key is in the smoke test's environment, a secret there, and its hash in the gateways', nowhere else", async () => {
  const run = await runProgram({ apiKeys: '["the-users-own-key","a-second-key"]' });
  const hash = createHash("sha256").update("the-users-own-key").digest("hex");
  const holders = (text: string) =>
    run.resources
      .flatMap(({ name, inputs, secrets }) =>
        Object.entries(inputs)
          .filter(([, value]) => JSON.stringify(value).includes(text))
          .map(([input]) => `${name} ${input} ${secrets.includes(input) ? "secret" : "in clear"}`),
      )
      .toSorted();
  expect(holders("the-users-own-key")).toEqual(["smoke-test environment secret"]);
  expect(holders(hash)).toEqual(["fleet-gateway-1 envs secret", "fleet-gateway-2 envs secret"]);
});

test("the gateways are told what the model's file says, and what the settings allow", async () => {
  const run = await runProgram({
    corsOrigins: '["https://app.example.com"]',
    allowedHosts: '["llm.example.com"]',
    contextSize: "512",
  });
  const [one, two] = named(run, "fleet-gateway");
  expect(two?.envs).toEqual(one?.envs);
  expect(one?.envs).toEqual(
    expect.arrayContaining([
      "UPSTREAM_URL=http://haproxy:8003",
      "CONTEXT_SIZE=512",
      "CORS_ORIGINS=https://app.example.com",
      "ALLOWED_HOSTS=llm.example.com",
      expect.stringMatching(/^CHAT_TEMPLATE=.*message/s),
      expect.stringMatching(/^EOS_TOKEN=<\|/),
      expect.stringMatching(/^SPECIAL_TOKENS=\["/),
    ]),
  );
});

test("one gateway is replaced after the other, the old one first: no old one answers beside a new one for long", async () => {
  const requests = vi.spyOn(MockMonitor.prototype, "registerResource");
  await runProgram();
  const gateways = requests.mock.calls
    .map(([request]) => request as Request)
    .filter((it) => it.getType() === containers && it.getName().startsWith("fleet-gateway"));
  expect(gateways.map((it) => it.getDeletebeforereplace())).toEqual([true, true]);
  const dependencies = gateways.map((it) => it.getDependenciesList().join(" "));
  expect(dependencies[0]).toMatch(/fleet-replica-0-ready/);
  expect(dependencies[1]).toMatch(/fleet-gateway-1-ready/);
});

describe("HTTPS", () => {
  const folder = mkdtempSync(join(tmpdir(), "tls-"));
  const [tlsCertificate, tlsKey, otherKey] = ["certificate.pem", "key.pem", "other.pem"].map((name) =>
    join(folder, name),
  );
  beforeAll(async () => {
    const make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a"];
    await execa("openssl", [...make, "-keyout", String(tlsKey), "-out", String(tlsCertificate)]);
    await execa("openssl", ["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", String(otherKey)]);
  });

  test("certificate and key reach the command alone that gives them to the load balancer, as a secret", async () => {
    const run = await runProgram({ tlsCertificate: String(tlsCertificate), tlsKey: String(tlsKey) });
    const key = readFileSync(String(tlsKey), "utf8").split("\n")[1] ?? "";
    const holders = run.resources.filter(({ inputs }) => JSON.stringify(inputs).includes(key));
    expect(holders.map(({ name, secrets }) => [name, secrets.includes("environment")])).toEqual([
      ["fleet-load-balancer-certificate", true],
    ]);
    expect(run.outputs).toMatchObject({ url: "https://127.0.0.1:8088/v1", healthUrl: "https://127.0.0.1:8088/health" });
  });

  test.each([
    ["a key of another certificate", { tlsCertificate, tlsKey: otherKey }, "tlsKey", "it is not the certificate's key"],
    ["what is no certificate", { tlsCertificate: tlsKey, tlsKey }, "tlsCertificate", "it holds no certificate"],
    ["a file that is not there", { tlsCertificate, tlsKey: `${folder}/none` }, "tlsKey", "it cannot be read (ENOENT)"],
  ])("%s is refused", async (_, files, key, wrong) => {
    const { tlsCertificate = "", tlsKey = "" } = files;
    const refused: unknown = await runProgram({ tlsCertificate, tlsKey }).catch((error: unknown) => error);
    expect((refused as { problems: Problem[] }).problems).toMatchObject([{ key, wrong }]);
    expect(JSON.stringify(refused)).not.toContain("PRIVATE");
  });
});

describe("a private model", () => {
  const token = "the-users-own-token";
  const server = createServer((request, response) => {
    if (request.headers.authorization !== `Bearer ${token}`) response.writeHead(401).end();
    else createReadStream("docker/server/self-test/model.gguf").pipe(response);
  });
  let modelUrl: string;

  beforeAll(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    modelUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/private.gguf`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  test("its token is used on this machine, as a secret, and is no build argument", async () => {
    const run = await runProgram({ modelUrl, modelToken: token });
    const holders = run.resources.filter(({ inputs }) => JSON.stringify(inputs).includes(token));
    expect(holders.map(({ name, secrets }) => [name, secrets])).toEqual([["bitnet-model", ["stdin"]]]);
    const image = ofType(run, "docker:index/image:Image").find(({ name }) => name === "bitnet");
    expect(image?.inputs.build).toMatchObject({
      args: { MODEL_URL: expect.stringMatching(/-private\.gguf$/) as string },
    });
  });

  test("is downloaded with it, and removed with the stack", async () => {
    const run = await runProgram({ modelUrl, modelToken: token });
    const command = run.resources.find(({ name }) => name === "bitnet-model")?.inputs;
    const folder = mkdtempSync(join(tmpdir(), "private-model-"));
    const destination = join(folder, "models", "private.gguf");
    const script = async (name: "create" | "delete") => {
      const env = { ...(command?.environment as object), DESTINATION: destination };
      return execa("/bin/sh", ["-ec", String(command?.[name])], { env, input: String(command?.stdin) });
    };
    await script("create");
    expect(readFileSync(destination)).toEqual(readFileSync("docker/server/self-test/model.gguf"));
    await script("delete");
    expect(readdirSync(dirname(destination))).toEqual([]);
  });

  test("is downloaded again where the file is gone, and not where it is still there", async () => {
    const requests = vi.spyOn(MockMonitor.prototype, "registerResource");
    const download = async () => {
      const run = await runProgram({ modelUrl, modelToken: token });
      const request = requests.mock.calls
        .map(([it]) => it as Request)
        .findLast((it) => it.getName() === "bitnet-model");
      return {
        triggers: run.resources.find(({ name }) => name === "bitnet-model")?.inputs.triggers,
        ignored: request?.getIgnorechangesList(),
        removedFirst: request?.getDeletebeforereplace(),
      };
    };
    const [first, second] = [await download(), await download()];
    expect(first).toMatchObject({ ignored: [], removedFirst: true });
    expect(second.triggers).not.toEqual(first.triggers);

    const file = join(`.build/${defaultStack}/server/context/model`, privateModelName(modelUrl));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "");
    expect(await download()).toMatchObject({ ignored: ["triggers"] });
  });
});

test("the image is built from what the settings say, and only when an update runs", async () => {
  const run = await runProgram({ optimize: "false", cpuTarget: "x86-64-v3", baseImage: "base:1", engineRef: "abc123" });
  const image = ofType(run, "docker:index/image:Image").find(({ name }) => name === "bitnet");
  expect(image?.inputs).toMatchObject({
    imageName: `127.0.0.1:5088/bitnet-server:${idOf(defaultStack)}`,
    buildOnPreview: false,
    build: {
      args: {
        MODEL_URL: "model.gguf",
        ENGINE: "ik_llama.cpp",
        ENGINE_REF: "abc123",
        OPTIMIZE: "false",
        CPU_TARGET: "x86-64-v3",
        BASE_IMAGE: "base:1",
        STACK_ID: idOf(defaultStack),
      },
    },
  });
});

/** Names and build arguments of all images, the server's first. */
async function images(config: Record<string, string> = {}, stack = defaultStack) {
  const run = await runProgram(config, false, { stack });
  return ofType(run, "docker:index/image:Image")
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .map(({ inputs, secrets }) => ({
      tag: String(inputs.imageName),
      args: (inputs.build as { args: Record<string, string> }).args,
      secret: secrets.includes("build"),
    }));
}

test("proxies reach every build, as secrets, and change no tag", async () => {
  try {
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]) {
      vi.stubEnv(name, undefined);
      vi.stubEnv(name.toLowerCase(), undefined);
    }
    const before = await images();
    vi.stubEnv("HTTP_PROXY", "http://me:password@proxy.example.com:3128");
    vi.stubEnv("no_proxy", ".example.com,127.0.0.1");
    const through = await images();
    expect(through.map(({ tag }) => tag)).toEqual(before.map(({ tag }) => tag));
    expect(through).toHaveLength(4);
    for (const { args, secret } of through) {
      expect(args).toMatchObject({
        HTTP_PROXY: "http://me:password@proxy.example.com:3128",
        http_proxy: "http://me:password@proxy.example.com:3128",
        NO_PROXY: ".example.com",
      });
      expect(secret).toBe(true);
    }
  } finally {
    vi.unstubAllEnvs();
  }
});

test("an image that is gone from where it was is built again; one that is there is not", async () => {
  const requests = vi.spyOn(MockMonitor.prototype, "registerResource");
  const build = async () => {
    const run = await runProgram();
    const images = ofType(run, "docker:index/image:Image").toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return images.map(({ name, inputs }) => ({
      name,
      argument: (inputs.build as { args: Record<string, string> }).args.BUILT_FOR,
      ignored: requests.mock.calls
        .map(([it]) => it as Request)
        .findLast((it) => it.getName() === name)
        ?.getIgnorechangesList(),
    }));
  };
  const [first, second] = [await build(), await build()];
  expect(first.map(({ ignored }) => ignored)).toEqual([[], [], [], []]);
  for (const [index, { argument }] of first.entries()) expect(second[index]?.argument).not.toBe(argument);

  const id = idOf(defaultStack);
  onEngine = new Set([`bitnet-server-load-balancer:${id}`, "bitnet-server-registry:of-another-stack"]);
  inRegistry = new Set([id]);
  const there = ["build.args.BUILT_FOR"];
  expect((await build()).map(({ name, ignored }) => ({ name, ignored }))).toEqual([
    { name: "bitnet", ignored: there },
    { name: "fleet-gateway-image", ignored: [] },
    { name: "fleet-load-balancer-image", ignored: there },
    { name: "registry-image", ignored: [] },
  ]);
});

test("all that a stack has on the engine is labelled with its id; a rename changes none of the labels", async () => {
  const requests = vi.spyOn(MockMonitor.prototype, "registerResource");
  const run = await runProgram({ replicas: "2" });
  const labelled = run.resources.filter(({ type }) => /container:C|network:N|volume:V/.test(type));
  expect(labelled).toHaveLength(10);
  for (const { inputs } of labelled) {
    expect(inputs.labels).toContainEqual({ label: "bitnet-server.id", value: idOf(defaultStack) });
    // The name comes from the id's keepers, which no later program changes.
    expect(inputs.labels).toContainEqual({ label: "bitnet-server.stack", value: defaultStack });
  }
  const id = requests.mock.calls.map(([it]) => it as Request).find((it) => it.getName() === "stack-id");
  expect(id?.getIgnorechangesList()).toEqual(["keepers"]);
});

test("an external registry is logged in to with a secret, and no local one is made", async () => {
  const run = await runProgram({
    registry: "registry.example.com/team/bitnet",
    registryUsername: "me",
    registryPassword: "pass word",
  });
  const image = ofType(run, "docker:index/image:Image").find(({ name }) => name === "bitnet");
  expect(image?.inputs).toMatchObject({
    imageName: `registry.example.com/team/bitnet:${idOf(defaultStack)}`,
    registry: { server: "registry.example.com", username: "me", password: "pass word" },
  });
  expect(named(run, "registry")).toEqual([]);
});

test("the smoke test asks for the model, of every replica's new image", async () => {
  const run = await runProgram({ replicas: "2", smokePrompt: "2 + 2?", smokeAnswer: "4" });
  const smoke = ofType(run, "command:local:Command").find(({ name }) => name === "smoke-test");
  const { SMOKE_TEST } = smoke?.inputs.environment as { SMOKE_TEST: string };
  expect(JSON.parse(SMOKE_TEST)).toEqual({
    url: "http://127.0.0.1:8088/v1",
    modelAlias: run.outputs.model,
    image: digest,
    replicaIds: ["fleet-replica-0-id", "fleet-replica-1-id"],
    loadBalancerId: "fleet-load-balancer-id",
    gatewayIds: ["fleet-gateway-1-id", "fleet-gateway-2-id"],
    prompt: "2 + 2?",
    answer: "4",
  });
});

test("a preview, where ids and digests are unknown, plans the same resources and builds nothing", async () => {
  const planned = await runProgram({ replicas: "2", bindAddress: "0.0.0.0" }, true);
  const done = await runProgram({ replicas: "2", bindAddress: "0.0.0.0" });
  const names = (run: Run) => run.resources.map(({ type, name }) => `${type} ${name}`).toSorted();
  expect(names(planned)).toEqual(names(done));
  expect(named(planned, "replica")[0]?.image).toBeUndefined();
  expect(planned.outputs).toMatchObject({ url: "http://127.0.0.1:8088/v1", replicas: 2 });
  expect(planned.outputs.image).toBeUndefined();
});

describe("before anything is made", () => {
  /** The problems, after making sure that no resource but the stack's id was registered. */
  async function problemsOf(config: Record<string, string>): Promise<Problem[]> {
    const register = vi.spyOn(MockMonitor.prototype, "registerResource");
    const error: unknown = await runProgram(config).catch((reason: unknown) => reason);
    expect(register.mock.calls.map(([it]) => (it as Request).getName())).toEqual(["stack-id"]);
    // Not `instanceof`: each run of the program loads its modules anew.
    return (error as { problems?: Problem[] }).problems ?? [];
  }

  test("mistakes in the settings, the engine's source, the model and the machine are reported together", async () => {
    inspected = { ...machine, hasAddress: false, portsInUse: [5088] };
    const found = await problemsOf({
      replicas: "0",
      statsPort: "8088",
      contxtSize: "1",
      threads: "9",
      bindAddress: "192.0.2.1",
      engineRepo: "./no-such.tar.gz",
      modelUrl: "./no-such.gguf",
    });
    expect(found.map(({ key, wrong }) => [key, wrong])).toEqual([
      ["replicas", "less than 1"],
      ["contxtSize", "there is no such setting"],
      ["statsPort", "port is the same port, by default"],
      ["engineRepo", "it is no git URL, and there is no such file"],
      ["modelUrl", "there is no such file"],
      ["threads", "a replica has 4 of this machine's 4 CPU cores"],
      ["bindAddress", "this machine has no such address"],
      ["registryPort", "another program listens on this port"],
    ]);
  });

  test("a wrong target does not hide what is wrong with the model", async () => {
    const found = await problemsOf({ target: "moon", port: "9000", modelUrl: "./no-such.gguf" });
    expect(found.map(({ key }) => key)).toEqual(["target", "modelUrl"]);
  });

  test("a wrong modelUrl or modelToken does not send anybody to look for another model", async () => {
    const request = vi.spyOn(globalThis, "fetch");
    expect(await problemsOf({ modelUrl: "a\nb", modelToken: "a b" })).toMatchObject([
      { key: "modelUrl" },
      { key: "modelToken" },
    ]);
    expect(request).not.toHaveBeenCalled();
  });

  test("a contextSize above the model's, a wrong checksum and too many replicas are reported together", async () => {
    const found = await problemsOf({ contextSize: "8192", modelSha256: "0".repeat(64), replicas: "5" });
    expect(found.map(({ key }) => key)).toEqual(["contextSize", "modelSha256", "replicas"]);
  });

  test("a value that the stack has encrypted is not shown, whatever is wrong with it", async () => {
    vi.spyOn(pulumi.runtime as unknown as { isConfigSecret: () => boolean }, "isConfigSecret").mockReturnValue(true);
    const found = await problemsOf({ modelUrl: "./no-such.gguf?key=hidden", engineRepo: "./hidden", port: "hidden" });
    expect(found.map(({ key }) => key)).toEqual(["port", "engineRepo", "modelUrl"]);
    expect(JSON.stringify(found)).not.toContain("hidden");
  });

  test("an external registry's stack needs no port for a local one", async () => {
    inspected = { ...machine, portsInUse: [5088] };
    expect(await problemsOf({})).toMatchObject([{ key: "registryPort" }]);
    await runProgram({ registry: "registry.example.com/team/bitnet" });
  });
});
