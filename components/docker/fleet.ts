import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { haproxyConfiguration } from "../serving/haproxy.ts";
import type { ServerOptions } from "../serving/server.ts";
import { drainDelay, drainTimeout, serverEnvironment, serverPort } from "../serving/server.ts";
import type { Core } from "./cpus.ts";
import { cpuSet, shareCores } from "./cpus.ts";
import type { StackImages } from "./shared.ts";
import { buildLocally, labels, logRotation } from "./shared.ts";

export interface DockerFleetArgs {
  /** The server's image, by digest. */
  image: pulumi.Input<string>;
  /** How many servers. Each holds the whole model in RAM. */
  replicas: number;
  /** The cores that the replicas share out among them. */
  cores: readonly Core[];
  /** Whether each replica is held to its cores; otherwise it has only as many threads. */
  pinned: boolean;
  /**
   * Whether a single replica is replaced by starting the new one first, which needs memory for two; otherwise nobody
   * answers while the new one loads its model. Several are replaced one at a time, without memory for another.
   */
  startFirst: boolean;
  server: ServerOptions;
  /** Memory limit of one replica, in bytes: what the model, its context and the buffers need. */
  memoryBytes: number;
  /**
   * `unlimited` raises the limit for locked memory; `inherit` leaves it as the Docker daemon has it, for daemons that
   * may not raise it (rootless, nested). IPC_LOCK, which every replica holds, locks the model in either case.
   */
  memlock: "unlimited" | "inherit";
  /** Where the load balancer is reached: an address of this machine and a port. */
  bindAddress: string;
  port: number;
  /** The loopback port of the statistics page and the Prometheus metrics. */
  statsPort: number;
  /**
   * Secrets, of which the balancer asks for one; the replicas, on a network of their own, do not know them, so that other
   * keys replace only the balancer. None: everybody who reaches the port may ask.
   */
  apiKeys: readonly pulumi.Output<string>[];
  /** The load balancer is Debian's own HAProxy, in an image of its own. */
  images: StackImages;
}

/** The name that every replica answers to on the fleet's network. */
const replicaName = "llama";

/** Docker's own DNS server, the same in every container on a network of the user's. */
const dockerDns = "127.0.0.11:53";

/**
 * Replicas of the server on this machine's Docker Engine, each on cores of its own, and HAProxy in front of them.
 * Replicas are replaced without a failed request, one after another if there are several; a single one, only where
 * `startFirst` is.
 */
export class DockerFleet extends pulumi.ComponentResource {
  /** The replicas' container ids, in order. */
  readonly replicaIds: pulumi.Output<string[]>;
  readonly loadBalancerId: pulumi.Output<string>;

  constructor(name: string, args: DockerFleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:docker:DockerFleet", name, {}, opts);

    const network = this.createNetwork(name, args);
    const balancer = this.createLoadBalancer(name, args, network);
    const replicas = this.createReplicas(name, args, network);

    this.replicaIds = pulumi.all(replicas.map(({ id }) => id));
    this.loadBalancerId = balancer.id;
    this.registerOutputs({ replicaIds: this.replicaIds, loadBalancerId: this.loadBalancerId });
  }

  private createNetwork(name: string, { images }: DockerFleetArgs): docker.Network {
    const ours = labels(images.stackId, "network");
    return new docker.Network(name, { driver: "bridge", labels: ours }, { parent: this });
  }

  private createReplicas(name: string, args: DockerFleetArgs, network: docker.Network): docker.Container[] {
    const shares = shareCores(args.cores, args.replicas);
    const replicas: docker.Container[] = [];
    // The last one first: one that a larger fleet adds is there before those that there were are replaced.
    for (const [index, cores] of [...shares.entries()].reverse()) {
      replicas.unshift(
        new docker.Container(
          `${name}-replica-${index}`,
          {
            image: args.image,
            // Another share of the cores is another number of threads, and so another replica: more threads than cores
            // would wait for each other.
            envs: serverEnvironment({ ...args.server, threads: args.server.threads ?? cores.length }),
            networksAdvanced: [{ name: network.name, aliases: [replicaName] }],
            ...(args.pinned ? { cpuSet: cpuSet(cores) } : {}),
            ...memoryLimit(args.memoryBytes),
            ...memoryLocking(args.memlock),
            // The entrypoint becomes uid 65532 with IPC_LOCK alone; the other three are what that takes.
            capabilities: { drops: ["ALL"], adds: ["CAP_IPC_LOCK", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"] },
            securityOpts: ["no-new-privileges"],
            readOnly: true,
            restart: "unless-stopped",
            wait: true,
            waitTimeout: startTimeout,
            destroyGraceSeconds: drainDelay + drainTimeout,
            labels: labels(args.images.stackId, "replica"),
            ...logRotation,
          },
          // One at a time: each waits until the one before it answers.
          { parent: this, dependsOn: replicas.slice(0, 1), deleteBeforeReplace: args.replicas > 1 || !args.startFirst },
        ),
      );
    }
    return replicas;
  }

  private createLoadBalancer(name: string, args: DockerFleetArgs, network: docker.Network): docker.Container {
    const image = buildLocally(`${name}-load-balancer-image`, "load-balancer", args.images, this);
    const configuration = haproxyConfiguration({
      parallel: args.server.parallel,
      replicas: { dnsName: replicaName, dnsServer: dockerDns },
      apiKeys: args.apiKeys.length,
    });
    return new docker.Container(
      `${name}-load-balancer`,
      {
        image: image.repoDigest,
        envs: [
          `HAPROXY_CONFIG=${configuration}`,
          ...args.apiKeys.map((key, index) => pulumi.interpolate`API_KEY_${index}=${key}`),
        ],
        networksAdvanced: [{ name: network.name }],
        ports: [
          { internal: serverPort, external: args.port, ip: args.bindAddress },
          { internal: 8404, external: args.statsPort, ip: "127.0.0.1" },
        ],
        capabilities: { drops: ["ALL"] },
        securityOpts: ["no-new-privileges"],
        readOnly: true,
        tmpfs: { "/run": "rw,noexec,nosuid,nodev,size=1m,mode=1777" },
        restart: "unless-stopped",
        destroyGraceSeconds: balancerGrace,
        labels: labels(args.images.stackId, "load-balancer"),
        ...logRotation,
      },
      { parent: this, deleteBeforeReplace: true }, // there is only one port
    );
  }
}

/** Seconds until a replica must be healthy: a disk of 50 MB/s reads a model of 10 GB in 200. */
const startTimeout = 300;

/** Seconds that running requests have to end when the balancer itself is replaced; meanwhile its port is closed. */
const balancerGrace = 60;

/** In MiB, as the provider has it. Without an equal memorySwap every later update would be a change. */
function memoryLimit(bytes: number): { memory: number; memorySwap: number } {
  const memory = Math.ceil(bytes / 2 ** 20);
  return { memory, memorySwap: memory };
}

function memoryLocking(memlock: DockerFleetArgs["memlock"]): Pick<docker.ContainerArgs, "ulimits"> {
  return memlock === "unlimited" ? { ulimits: [{ name: "memlock", soft: -1, hard: -1 }] } : {};
}
