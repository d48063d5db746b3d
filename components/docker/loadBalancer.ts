import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { haproxyEnvironment } from "../serving/haproxy.ts";
import { ports } from "../serving/ports.ts";
import { haproxyGrace } from "../serving/timeouts.ts";
import { isLoopback } from "../settings/ipRanges.ts";
import { rejoin } from "./networkDrift.ts";
import type { StackImages } from "./shared.ts";
import { buildLocally, common, environment, labels } from "./shared.ts";

export interface LoadBalancerArgs {
  /** Where it listens: an address of this machine and a port. */
  bindAddress: string;
  port: number;
  /** The loopback port of the statistics page and the Prometheus metrics. */
  statsPort: number;
  /** Requests that one replica answers at once. */
  parallel: number;
  /** A certificate, the rest of its chain and its key, in PEM format. Undefined: plain HTTP. */
  tls: pulumi.Output<string> | undefined;
  networks: pulumi.Input<docker.types.input.ContainerNetworksAdvanced>[];
  images: StackImages;
  /** Containers to recreate: see {@link rejoin}. */
  offNetwork: readonly string[];
}

export interface LoadBalancer {
  /** The container's id; known once it serves. */
  id: pulumi.Output<string>;
  /** What has to exist before it serves. */
  parts: pulumi.Resource[];
}

/** Docker's own DNS server, at the same address in every container on a user-defined network. */
const dockerDns = "127.0.0.11:53";

/** Maximum connections per source: more than a busy server needs, an eighth of what the edge accepts. */
const sourceLimit = 500;

/** Twice what all connections take with their buffers in use: docker/load-balancer/haproxy.cfg. */
const haproxyMemory = 512 * 2 ** 20;

/** In docker/load-balancer's image, HAProxy's user owns this folder. */
const certificateFolder = "/certificate";

/**
 * HAProxy from Debian, in its own image. Any change replaces it, which closes the port for a moment. The exception is a
 * new certificate, which HAProxy gets while it runs.
 */
export function loadBalancer(name: string, args: LoadBalancerArgs, parent: pulumi.Resource): LoadBalancer {
  const { tls } = args;
  if (tls === undefined) {
    const container = createContainer(name, args, undefined, parent);
    return { id: container.id, parts: [container] };
  }
  // A container that is restarted, as after a reboot, finds the last certificate there.
  const volume = new docker.Volume(
    `${name}-certificate`,
    { labels: labels(args.images.stackId, "certificate") },
    { parent },
  );
  const container = createContainer(name, args, volume, parent);
  const installed = new command.local.Command(
    `${name}-certificate`,
    {
      create: "node commands/installCertificate.ts",
      environment: { LOAD_BALANCER: container.id, CERTIFICATE: tls },
      logging: "stderr",
    },
    { parent },
  );
  return { id: pulumi.all([container.id, installed.id]).apply(([id]) => id), parts: [container, installed] };
}

function createContainer(
  name: string,
  args: LoadBalancerArgs,
  certificate: docker.Volume | undefined,
  parent: pulumi.Resource,
): docker.Container {
  const image = buildLocally(`${name}-image`, "load-balancer", args.images, parent);
  const settings = haproxyEnvironment({
    parallel: args.parallel,
    dns: dockerDns,
    // On loopback, all clients have the same address: Docker's.
    sourceLimit: isLoopback(args.bindAddress) ? undefined : sourceLimit,
    tls: certificate && `${certificateFolder}/certificate.pem`,
  });
  return new docker.Container(
    name,
    {
      image: image.repoDigest,
      envs: environment(settings),
      networksAdvanced: args.networks,
      ...rejoin(name, args.offNetwork),
      ports: [
        { internal: ports.edge, external: args.port, ip: args.bindAddress },
        { internal: ports.statistics, external: args.statsPort, ip: "127.0.0.1" },
      ],
      ...(certificate && { volumes: [{ volumeName: certificate.name, containerPath: certificateFolder }] }),
      ...common(args.images.stackId, "load-balancer", haproxyMemory),
      tmpfs: { "/run": "rw,noexec,nosuid,nodev,size=1m,mode=1777" },
      destroyGraceSeconds: haproxyGrace,
    },
    { parent, deleteBeforeReplace: true, replaceOnChanges: ["mustRun"] }, // there is only one port
  );
}
