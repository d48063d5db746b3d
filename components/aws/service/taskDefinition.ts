import { haproxyEnvironment } from "../../serving/haproxy.ts";
import type { GatewayOptions } from "../../serving/gateway.ts";
import { apiKeysVariable, gatewayEnvironment } from "../../serving/gateway.ts";
import { ports } from "../../serving/ports.ts";
import type { ServerOptions } from "../../serving/server.ts";
import { serverEnvironment } from "../../serving/server.ts";
import { drainTimeout, haproxyGrace, readyTimeout, replicaGrace, wholeAnswer } from "../../serving/timeouts.ts";

/**
 * Everything that determines a task. It contains no secret, because anyone who may read the account can read a task
 * definition.
 */
export interface TaskDescription {
  region: string;
  /** The images, by digest. */
  images: Readonly<Record<ContainerName, string>>;
  server: ServerOptions;
  gateway: Pick<GatewayOptions, "prompt" | "corsOrigins" | "allowedHosts">;
  /** The instance's vCPUs. The task takes all of them, so an instance has one task. */
  vcpus: number;
  /** Memory that the server may use, in bytes: the model, its context and its buffers. */
  memoryBytes: number;
  /** The secret with the keys' hashes, and its version, so that changed keys create another task definition. */
  secretArn: string;
  secretVersion: string;
  logGroup: string;
  /** The namespace of the gateway's metrics, and the dimension that sets this service's apart from others'. */
  metricNamespace: string;
  service: string;
  /**
   * The launch template and its version. No container needs it: it makes a changed template create another task
   * definition, whose tasks start on new instances.
   */
  launchTemplate: string;
}

export type ContainerName = "server" | "gateway" | "haproxy";

/**
 * Seconds that the load balancer keeps an idle connection: a little longer than HAProxy waits for a plain answer, so that
 * the client gets HAProxy's. AWS's default is 60, its limit 4000.
 */
export const idleTimeout = wholeAnswer + 10;

/**
 * Longer than idleTimeout: if HAProxy closed a connection just as the load balancer sends a request on it, the client
 * would get a 502.
 */
export const keepAlive = idleTimeout + 10;

/** MiB that the two small containers may use: twice what 1,024 connections with full buffers and 512 requests take. */
const memoryMiB = { gateway: 384, haproxy: 512 };

/** MiB that the task takes in addition to the server's. */
export const besideServerMiB = memoryMiB.gateway + memoryMiB.haproxy;

/** Out of 1024 per vCPU. Shares, not limits: enough for both to answer at once while the server computes. */
const cpuShares = { gateway: 512, haproxy: 256 };

/** A container as ECS takes it: docs.aws.amazon.com, API_ContainerDefinition. */
export interface ContainerDefinition {
  name: ContainerName;
  image: string;
  essential: true;
  cpu: number;
  /** MiB; more ends the container. */
  memory: number;
  portMappings: { containerPort: number; protocol: "tcp" }[];
  environment: { name: string; value: string }[];
  secrets: { name: string; valueFrom: string }[];
  readonlyRootFilesystem: boolean;
  dockerSecurityOptions: ["no-new-privileges"];
  linuxParameters: {
    capabilities: { drop: ["ALL"]; add: string[] };
    tmpfs: { containerPath: string; size: number; mountOptions: string[] }[];
  };
  ulimits: { name: string; softLimit: number; hardLimit: number }[];
  healthCheck?: { command: string[]; interval: number; timeout: number; retries: number; startPeriod: number };
  dependsOn: { containerName: ContainerName; condition: "START" }[];
  restartPolicy: { enabled: boolean; ignoredExitCodes: number[]; restartAttemptPeriod: number };
  stopTimeout: number;
  dockerLabels: Record<string, string>;
  logConfiguration: { logDriver: "awslogs"; options: Record<string, string> };
}

/** ECS's limit for a whole task definition, in bytes: docs.aws.amazon.com, "Amazon ECS service quotas". */
export const taskDefinitionLimit = 64 * 1024;

/** Stands for parts of a task definition that are not known in advance, at their maximum length. */
const unknownYet = { arn: "a".repeat(200), image: "i".repeat(400) };

/**
 * The maximum size of the task definition in bytes, from what is known before anything is created. The unknown parts
 * are short, except those from the model's file: its chat template and its control tokens.
 */
export function taskDefinitionBytes(known: Pick<TaskDescription, "server" | "gateway">): number {
  const { arn, image } = unknownYet;
  const definitions = containerDefinitions({
    ...known,
    region: arn,
    images: { server: image, gateway: image, haproxy: image },
    vcpus: 512,
    memoryBytes: 2 ** 40,
    secretArn: arn,
    secretVersion: arn,
    logGroup: arn,
    metricNamespace: arn,
    service: arn,
    launchTemplate: arn,
  });
  return Buffer.byteLength(JSON.stringify(definitions)) + 2 * arn.length;
}

/** The three containers of a task, which share one network: they reach each other on 127.0.0.1. */
export function containerDefinitions(description: TaskDescription): ContainerDefinition[] {
  return [server(description), gateway(description), haproxy(description)];
}

/**
 * The server, with the capabilities that its entrypoint needs to become a user with IPC_LOCK alone, as in the docker
 * target; and without a limit for locked memory.
 */
function server(description: TaskDescription): ContainerDefinition {
  const common = container("server", description);
  return {
    ...common,
    cpu: 1024 * description.vcpus - cpuShares.gateway - cpuShares.haproxy,
    memory: Math.ceil(description.memoryBytes / 2 ** 20),
    environment: serverEnvironment(description.server).map((variable) => {
      const equals = variable.indexOf("=");
      return { name: variable.slice(0, equals), value: variable.slice(equals + 1) };
    }),
    linuxParameters: {
      capabilities: { drop: ["ALL"], add: ["IPC_LOCK", "SETGID", "SETPCAP", "SETUID"] },
      tmpfs: [tmpfs("/run", 16), tmpfs("/tmp", 64)],
    },
    ulimits: [{ name: "memlock", softLimit: -1, hardLimit: -1 }],
    // ECS allows a start period of 300 s; the retries make it the time that a server has everywhere to become ready.
    // HAProxy and the load balancer notice within seconds if one hangs later.
    healthCheck: {
      command: ["CMD", "/opt/bitnet-server/healthcheck.sh"],
      interval: (readyTimeout - 300) / 10,
      timeout: 15,
      retries: 10,
      startPeriod: 300,
    },
    stopTimeout: replicaGrace,
    dockerLabels: { "bitnet-server.launch-template": description.launchTemplate },
  };
}

function gateway(description: TaskDescription): ContainerDefinition {
  const { server: options, secretArn, secretVersion, metricNamespace, service } = description;
  return {
    ...container("gateway", description),
    cpu: cpuShares.gateway,
    memory: memoryMiB.gateway,
    environment: variables({
      ...gatewayEnvironment({ ...description.gateway, ...options, upstream: "127.0.0.1" }),
      HOST: "127.0.0.1",
      EMF_NAMESPACE: metricNamespace,
      EMF_SERVICE: service,
    }),
    // By field and version: docs.aws.amazon.com, "Pass sensitive data to an Amazon ECS container".
    secrets: [{ name: apiKeysVariable, valueFrom: `${secretArn}:${apiKeysVariable}::${secretVersion}` }],
    // ECS stops a container before those that it depends on, so the server stops last.
    dependsOn: [{ containerName: "server", condition: "START" }],
    stopTimeout: drainTimeout + 5,
  };
}

/** HAProxy, in front of the gateway and behind it. It passes the last answers to the clients, and stops first. */
function haproxy(description: TaskDescription): ContainerDefinition {
  return {
    ...container("haproxy", description),
    cpu: cpuShares.haproxy,
    memory: memoryMiB.haproxy,
    portMappings: [ports.edge, ports.health].map((containerPort) => ({ containerPort, protocol: "tcp" })),
    environment: variables(haproxyEnvironment({ parallel: description.server.parallel, keepAlive })),
    linuxParameters: { capabilities: { drop: ["ALL"], add: [] }, tmpfs: [tmpfs("/run", 1)] },
    // Two per connection, of which haproxy.cfg allows 6,000; HAProxy does not start with fewer than it needs.
    ulimits: [{ name: "nofile", softLimit: 16_384, hardLimit: 16_384 }],
    dependsOn: [{ containerName: "gateway", condition: "START" }],
    stopTimeout: haproxyGrace,
  };
}

/** Settings of every container. */
function container(name: ContainerName, { images, region, logGroup }: TaskDescription): ContainerDefinition {
  return {
    name,
    image: images[name],
    essential: true,
    cpu: 0,
    memory: 0,
    portMappings: [],
    environment: [],
    secrets: [],
    readonlyRootFilesystem: true,
    dockerSecurityOptions: ["no-new-privileges"],
    linuxParameters: { capabilities: { drop: ["ALL"], add: [] }, tmpfs: [] },
    ulimits: [],
    dependsOn: [],
    // Restarts in place. A container that ends within a minute of its start, or lacks the CPU that it was compiled for
    // (78), ends the task instead, and ECS counts a failed start.
    restartPolicy: { enabled: true, ignoredExitCodes: [78], restartAttemptPeriod: 60 },
    stopTimeout: 0,
    dockerLabels: {},
    logConfiguration: {
      logDriver: "awslogs",
      options: {
        "awslogs-group": logGroup,
        "awslogs-region": region,
        "awslogs-stream-prefix": "task",
        // A full buffer drops lines instead of blocking the server.
        mode: "non-blocking",
        "max-buffer-size": "4m",
      },
    },
  };
}

function variables(values: Readonly<Record<string, string>>): { name: string; value: string }[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

function tmpfs(containerPath: string, size: number) {
  return { containerPath, size, mountOptions: ["rw", "noexec", "nosuid", "nodev"] };
}
