import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { dnsNames } from "../serving/haproxy.ts";
import type { GatewayOptions } from "../serving/gateway.ts";
import type { ServerOptions } from "../serving/server.ts";
import { serverEnvironment } from "../serving/server.ts";
import { readyTimeout, replicaGrace } from "../serving/timeouts.ts";
import type { NamedKey } from "../settings/apiKeys.ts";
import type { Core } from "./cpus.ts";
import { cpuSet, shareCores } from "./cpus.ts";
import { gateways } from "./gateways.ts";
import { loadBalancer } from "./loadBalancer.ts";
import { monitoring } from "./monitoring.ts";
import { rejoin } from "./networkDrift.ts";
import type { StackImages } from "./shared.ts";
import { common, labels, processLimit } from "./shared.ts";

export interface DockerFleetArgs {
  /** The server's image, by digest. */
  image: pulumi.Input<string>;
  /** How many servers. Each holds the whole model in RAM. */
  replicas: number;
  /** The cores that are divided among the replicas. */
  cores: readonly Core[];
  /** Whether each replica is pinned to its cores; otherwise it just has as many threads. */
  pinned: boolean;
  /**
   * Whether a single replica is replaced by starting the new one first, which needs memory for two. Otherwise there is
   * no answer while the new one loads its model. Several replicas are replaced one at a time, without memory for
   * another.
   */
  startFirst: boolean;
  server: ServerOptions;
  /** Memory limit of one replica, in bytes: what the model, its context and the buffers need. */
  memoryBytes: number;
  /**
   * `unlimited` raises the limit for locked memory. `inherit` keeps the Docker daemon's limit, for daemons that may not
   * raise it (rootless, nested). Every replica has IPC_LOCK, which locks the model in either case.
   */
  memlock: "unlimited" | "inherit";
  /** Where the load balancer listens: an address of this machine and a port. */
  bindAddress: string;
  port: number;
  /** The loopback port of the statistics page and the Prometheus metrics. */
  statsPort: number;
  /** The loopback port of the dashboard. Undefined: nothing is monitored. */
  dashboardPort: number | undefined;
  /** In PEM format. Undefined: plain HTTP. */
  tls: pulumi.Output<string> | undefined;
  gateway: Omit<GatewayOptions, "upstream">;
  /**
   * Secrets; the gateways require one of them. Nothing else knows the keys, so changed keys replace only the gateways.
   * Undefined: anyone who reaches the port may ask.
   */
  apiKeys: pulumi.Output<readonly NamedKey[]> | undefined;
  /** Load balancer and gateways have images of their own. */
  images: StackImages;
  /** Names of containers that have lost their networks and have to be recreated. */
  offNetwork: readonly string[];
}

/** A replica, and the command that waits until it has answered its first question. */
interface Replica {
  container: docker.Container;
  ready: command.local.Command;
}

/**
 * Replicas of the server on this machine's Docker Engine, each on its own cores, with HAProxy and the gateways in
 * front. Several replicas are replaced one after another, without a failed request; a single one only with
 * `startFirst`. A replica that does not start fails the update at once, and the previous ones keep serving.
 */
export class DockerFleet extends pulumi.ComponentResource {
  /** The ids of the replicas' containers, in order; known once all are ready. */
  readonly replicaIds: pulumi.Output<string[]>;
  readonly loadBalancerId: pulumi.Output<string>;
  /** The ids of the gateways' containers; known once all are ready. */
  readonly gatewayIds: pulumi.Output<string[]>;

  constructor(name: string, args: DockerFleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:docker:DockerFleet", name, {}, opts);

    const inside = this.createInternal(name, args);
    const between = this.createInternal(`${name}-gateways`, args);
    const outside = this.createOutside(name, args);
    const networks = [
      { name: inside.name },
      // Gateways from before the name changed ask for "balancer" until they are replaced, after the replicas.
      { name: between.name, aliases: [dnsNames.haproxy, "balancer"] },
      { name: outside.name },
    ];
    const { parallel } = args.server;
    const haproxy = loadBalancer(`${name}-load-balancer`, { ...args, parallel, networks }, this);
    const replicas = this.createReplicas(name, args, inside, haproxy.parts);
    // After the replicas: if a new model does not start, the gateways keep using the old model's prompt format.
    const dependsOn = [...haproxy.parts, ...replicas.map(({ ready }) => ready)];
    this.gatewayIds = gateways(name, { ...args, options: args.gateway, network: between, dependsOn }, this);
    if (args.dashboardPort !== undefined) {
      const everywhere = [inside, between, outside].map((network) => ({ name: network.name }));
      const { dashboardPort: port, images, offNetwork } = args;
      monitoring(`${name}-monitoring`, { port, images, offNetwork, networks: everywhere }, this);
    }
    this.replicaIds = pulumi.all(replicas.map(idOnceReady));
    this.loadBalancerId = haproxy.id;
    const { replicaIds, loadBalancerId, gatewayIds } = this;
    this.registerOutputs({ replicaIds, loadBalancerId, gatewayIds });
  }

  /**
   * The network between HAProxy and the replicas, or the gateways. It has no way out: none to the internet, and
   * none to the host either, which has no address on its bridge.
   */
  private createInternal(name: string, { images }: DockerFleetArgs): docker.Network {
    const options = { "com.docker.network.bridge.inhibit_ipv4": "true" };
    return new docker.Network(
      name,
      { driver: "bridge", internal: true, options, labels: labels(images.stackId, "network") },
      { parent: this },
    );
  }

  /** The network on which HAProxy's ports are published; an internal network cannot publish any. */
  private createOutside(name: string, { images }: DockerFleetArgs): docker.Network {
    const ours = labels(images.stackId, "network");
    return new docker.Network(`${name}-outside`, { driver: "bridge", labels: ours }, { parent: this });
  }

  private createReplicas(
    name: string,
    args: DockerFleetArgs,
    network: docker.Network,
    haproxy: pulumi.Resource[],
  ): Replica[] {
    const shares = shareCores(args.cores, args.replicas);
    const replicas: Replica[] = [];
    // The last one first: a replica that a larger fleet adds is ready before the existing ones are replaced.
    for (const [index, cores] of [...shares.entries()].reverse()) {
      // One at a time: each waits until the one before it is ready. All wait for HAProxy: if it is being replaced,
      // it must be back before a replica can fail the update.
      const dependsOn = [...haproxy, ...replicas.slice(0, 1).map(({ ready }) => ready)];
      const container = this.createReplica(`${name}-replica-${index}`, args, cores, network, dependsOn);
      replicas.unshift({ container, ready: this.awaitReplica(`${name}-replica-${index}`, container) });
    }
    return replicas;
  }

  private createReplica(
    name: string,
    args: DockerFleetArgs,
    cores: readonly Core[],
    network: docker.Network,
    dependsOn: pulumi.Resource[],
  ): docker.Container {
    return new docker.Container(
      name,
      {
        image: args.image,
        // Another share of the cores means another number of threads, and so another replica: more threads than cores
        // would wait for each other.
        envs: serverEnvironment({ ...args.server, threads: args.server.threads ?? cores.length }),
        networksAdvanced: [{ name: network.name, aliases: [dnsNames.replicas] }],
        ...rejoin(name, args.offNetwork),
        ...(args.pinned ? { cpuSet: cpuSet(cores) } : {}),
        ...common(args.images.stackId, "replica", args.memoryBytes),
        ulimits: [processLimit, ...memoryLocking(args.memlock)],
        // The entrypoint becomes uid 65532 with IPC_LOCK alone; the other three are what that takes.
        capabilities: { drops: ["ALL"], adds: ["CAP_IPC_LOCK", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"] },
        destroyGraceSeconds: replicaGrace,
      },
      {
        parent: this,
        dependsOn,
        deleteBeforeReplace: args.replicas > 1 || !args.startFirst,
        // A stopped container is recreated, and so waited for and asked again.
        replaceOnChanges: ["mustRun"],
      },
    );
  }

  /** Fails the update as soon as the replica has failed, which the provider's own `wait` does not. */
  private awaitReplica(name: string, container: docker.Container): command.local.Command {
    return new command.local.Command(
      `${name}-ready`,
      {
        create: "node commands/awaitReplica.ts",
        environment: { AWAIT_REPLICA: pulumi.jsonStringify({ id: container.id, timeout: readyTimeout }) },
        logging: "stderr",
      },
      { parent: this },
    );
  }
}

/** Known once the replica is ready, so whatever uses the id waits for that. */
function idOnceReady({ container, ready }: Replica): pulumi.Output<string> {
  return pulumi.all([container.id, ready.id]).apply(([id]) => id);
}

function memoryLocking(memlock: DockerFleetArgs["memlock"]): docker.types.input.ContainerUlimit[] {
  return memlock === "unlimited" ? [{ name: "memlock", soft: -1, hard: -1 }] : [];
}
