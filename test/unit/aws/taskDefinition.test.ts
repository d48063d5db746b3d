import { expect, test } from "vitest";
import type { ContainerDefinition } from "../../../components/aws/service/taskDefinition.ts";
import {
  containerDefinitions,
  idleTimeout,
  keepAlive,
  taskDefinitionBytes,
} from "../../../components/aws/service/taskDefinition.ts";
import { readyTimeout, replicaGrace } from "../../../components/serving/timeouts.ts";
import { readConfig } from "../../../gateway/src/config.ts";
import { description } from "./description.ts";

const containers = containerDefinitions(description);
const named = (name: string) => containers.find((container) => container.name === name) as ContainerDefinition;
const [server, gateway, haproxy] = [named("server"), named("gateway"), named("haproxy")];
const variablesOf = ({ environment }: ContainerDefinition) =>
  Object.fromEntries(environment.map(({ name, value }) => [name, value]));

test("each container runs its image by digest, read-only, without capabilities but those it needs, and gains none", () => {
  for (const container of containers) {
    expect(container.image).toBe(description.images[container.name]);
    expect(container.image).toMatch(/@sha256:[0-9a-f]{64}$/);
    expect(container).toMatchObject({
      essential: true,
      readonlyRootFilesystem: true,
      dockerSecurityOptions: ["no-new-privileges"],
      linuxParameters: { capabilities: { drop: ["ALL"] } },
    });
  }
  const added = containers.map(({ linuxParameters }) => linuxParameters.capabilities.add);
  expect(added).toEqual([["IPC_LOCK", "SETGID", "SETPCAP", "SETUID"], [], []]);
});

test("the server may lock any amount of memory, and use what its model, context and buffers need", () => {
  expect(server.ulimits).toEqual([{ name: "memlock", softLimit: -1, hardLimit: -1 }]);
  expect(server.memory).toBe(2560);
});

test("a task takes all of its instance's CPU shares, so that no second one finds room there", () => {
  expect(containers.reduce((sum, { cpu }) => sum + cpu, 0)).toBe(8 * 1024);
});

test("only HAProxy's two ports are there for others; everything else is on 127.0.0.1", () => {
  expect(containers.map(({ portMappings }) => portMappings.map(({ containerPort }) => containerPort))).toEqual([
    [],
    [],
    [8000, 8001],
  ]);
  expect(variablesOf(gateway)).toMatchObject({ HOST: "127.0.0.1", UPSTREAM_URL: "http://127.0.0.1:8003" });
});

test("the API keys come by field and version of the secret, to the gateway alone", () => {
  const { secretArn, secretVersion } = description;
  expect(gateway.secrets).toEqual([{ name: "API_KEYS", valueFrom: `${secretArn}:API_KEYS::${secretVersion}` }]);
  expect([...server.secrets, ...haproxy.secrets]).toEqual([]);
});

test("the gateway takes its environment, and prints its metrics for this service", () => {
  const config = readConfig({ ...variablesOf(gateway), API_KEYS: "[]" });
  expect(config).toMatchObject({
    model: "bitnet-b1.58-2B-4T",
    contextSize: 4096,
    slots: 2,
    port: 8002,
    metricsPort: 9090,
    embeddedMetrics: { namespace: "BitnetServer", service: "bitnet-prod" },
  });
});

test("values with equals signs and line breaks reach the server whole", () => {
  expect(variablesOf(server)).toMatchObject({ EXTRA_ARGS: "--cache-reuse\na=b", PARALLEL: "2" });
});

test("HAProxy stops first and the server last, each with the time that its requests may take", () => {
  expect(containers.map(({ dependsOn }) => dependsOn.map(({ containerName }) => containerName))).toEqual([
    [],
    ["server"],
    ["gateway"],
  ]);
  expect(server.stopTimeout).toBe(replicaGrace);
  for (const { stopTimeout } of containers) expect(stopTimeout).toBeGreaterThan(0);
});

test("a container that ends is started again in its place, but not one that lacks the CPU it was compiled for", () => {
  for (const { restartPolicy } of containers) {
    // ECS's least: docs.aws.amazon.com, API_ContainerRestartPolicy.
    expect(restartPolicy).toEqual({ enabled: true, ignoredExitCodes: [78], restartAttemptPeriod: 60 });
  }
});

test("a server may take as long as everywhere until it is ready, within what ECS allows of a health check", () => {
  const { interval = 0, timeout = 0, retries = 0, startPeriod = 0 } = server.healthCheck ?? {};
  expect(startPeriod + retries * interval).toBe(readyTimeout);
  // docs.aws.amazon.com, API_HealthCheck.
  expect([interval >= 5 && interval <= 300, timeout >= 2 && timeout <= 60]).toEqual([true, true]);
  expect([retries >= 1 && retries <= 10, startPeriod >= 0 && startPeriod <= 300]).toEqual([true, true]);
});

test("HAProxy keeps idle connections longer than the load balancer does", () => {
  expect(keepAlive).toBeGreaterThan(idleTimeout);
  expect(variablesOf(haproxy)).toMatchObject({ KEEP_ALIVE: String(keepAlive), PARALLEL: "2" });
});

test("logs never stop a container", () => {
  for (const { logConfiguration } of containers) {
    expect(logConfiguration.options).toMatchObject({ mode: "non-blocking", "awslogs-group": "bitnet-prod" });
  }
});

test("another launch template is another task definition, so that new tasks start on new instances", () => {
  const after = containerDefinitions({ ...description, launchTemplate: "lt-0123:8" });
  expect(after).not.toEqual(containers);
});

test("what is said of its size before it is made is not less than its size, and no more than 10 KB more", () => {
  const bytes = Buffer.byteLength(JSON.stringify(containers));
  expect(taskDefinitionBytes(description)).toBeGreaterThan(bytes);
  expect(taskDefinitionBytes(description)).toBeLessThan(bytes + 10_000);
});
