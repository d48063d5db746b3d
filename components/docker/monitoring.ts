import * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import { rejoin } from "./networkDrift.ts";
import type { StackImages } from "./shared.ts";
import { buildLocally, common, labels } from "./shared.ts";

export interface MonitoringArgs {
  /** The loopback port of the dashboard and of Prometheus' API. */
  port: number;
  /** The networks on which the monitored containers are found, and one on which a port can be published. */
  networks: pulumi.Input<docker.types.input.ContainerNetworksAdvanced>[];
  images: StackImages;
  /** Names of containers that were taken off a network. */
  offNetwork: readonly string[];
}

/** About five times what 64 replicas take; auto-gomemlimit keeps Go's heap below it. */
const monitoringMemory = 512 * 2 ** 20;

/**
 * Prometheus from Debian, with the dashboard that it serves. Its data is in a volume, which outlives its container and
 * is removed with the stack.
 */
export function monitoring(name: string, args: MonitoringArgs, parent: pulumi.Resource): docker.Container {
  const { stackId } = args.images;
  const image = buildLocally(`${name}-image`, "monitoring", args.images, parent);
  const data = new docker.Volume(`${name}-data`, { labels: labels(stackId, "monitoring-data") }, { parent });
  return new docker.Container(
    name,
    {
      image: image.repoDigest,
      networksAdvanced: args.networks,
      ...rejoin(name, args.offNetwork),
      ports: [{ internal: 9090, external: args.port, ip: "127.0.0.1" }],
      volumes: [{ volumeName: data.name, containerPath: "/var/lib/prometheus" }],
      ...common(stackId, "monitoring", monitoringMemory),
      wait: true,
    },
    { parent, deleteBeforeReplace: true, replaceOnChanges: ["mustRun"] }, // there is only one port, and one volume
  );
}
