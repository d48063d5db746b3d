import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { balancerEnvironment, tlsVariable } from "../serving/balancer.ts";
import { ports } from "../serving/ports.ts";
import { balancerGrace } from "../serving/timeouts.ts";
import { isLoopback } from "../settings/ipRanges.ts";
import { rejoin } from "./networkDrift.ts";
import type { StackImages } from "./shared.ts";
import { buildLocally, containment, environment, labels, logRotation, memoryLimit, processLimit } from "./shared.ts";

export interface LoadBalancerArgs {
  /** Where it is reached: an address of this machine and a port. */
  bindAddress: string;
  port: number;
  /** The loopback port of the statistics page and the Prometheus metrics. */
  statsPort: number;
  /** Requests that one replica answers at once. */
  parallel: number;
  /** A certificate, the rest of its chain and its key, in PEM. Undefined: plain HTTP. */
  tls: pulumi.Output<string> | undefined;
  networks: pulumi.Input<docker.types.input.ContainerNetworksAdvanced>[];
  images: StackImages;
  /** Containers to make anew: see {@link rejoin}. */
  offNetwork: readonly string[];
}

/** Docker's own DNS server, the same in every container on a network of the user's. */
const dockerDns = "127.0.0.11:53";

/** Connections that one source may have: more than a busy server's, an eighth of what the edge takes. */
const sourceLimit = 500;

/** Twice what all connections take with their buffers in use: docker/load-balancer/haproxy.cfg. */
const balancerMemory = 512 * 2 ** 20;

/** HAProxy, Debian's own, in an image of its own. Whatever changes replaces it, which closes the port for a moment. */
export function loadBalancer(name: string, args: LoadBalancerArgs, parent: pulumi.Resource): docker.Container {
  const image = buildLocally(`${name}-image`, "load-balancer", args.images, parent);
  const settings = balancerEnvironment({
    parallel: args.parallel,
    dns: dockerDns,
    // On loopback everybody comes from one address: Docker's.
    sourceLimit: isLoopback(args.bindAddress) ? undefined : sourceLimit,
  });
  return new docker.Container(
    name,
    {
      image: image.repoDigest,
      envs: environment({ ...settings, ...(args.tls === undefined ? {} : { [tlsVariable]: args.tls }) }),
      networksAdvanced: args.networks,
      ...rejoin(name, args.offNetwork),
      ports: [
        { internal: ports.edge, external: args.port, ip: args.bindAddress },
        { internal: ports.statistics, external: args.statsPort, ip: "127.0.0.1" },
      ],
      ...memoryLimit(balancerMemory),
      ulimits: [processLimit],
      ...containment,
      tmpfs: { "/run": "rw,noexec,nosuid,nodev,size=1m,mode=1777" },
      destroyGraceSeconds: balancerGrace,
      labels: labels(args.images.stackId, "load-balancer"),
      ...logRotation,
    },
    { parent, deleteBeforeReplace: true, replaceOnChanges: ["mustRun"] }, // there is only one port
  );
}
