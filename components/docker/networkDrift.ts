import { randomBytes } from "node:crypto";
import Docker from "dockerode";
import type { ContainerInspectInfo } from "dockerode";
import { dnsNames } from "../serving/haproxy.ts";
import { ofStack } from "./ofStack.ts";

/**
 * How many of its stack's networks a container is on, by its role, and whether others find it there by name. The
 * registry is on none of them.
 */
const places: Readonly<Partial<Record<string, { networks: number; isNamed: boolean }>>> = {
  replica: { networks: 1, isNamed: true },
  gateway: { networks: 1, isNamed: true },
  "load-balancer": { networks: 3, isNamed: true },
  monitoring: { networks: 3, isNamed: false },
};

/** The alias by which others find a container. A manual `docker network connect` sets none. */
const aliases: ReadonlySet<string> = new Set([dnsNames.replicas, ...dnsNames.gateways, dnsNames.haproxy]);

/**
 * The names of a stack's running containers that cannot be reached, because they were taken off one of its networks or
 * lost their alias there. The provider's refresh does not see that: `networks_advanced` stays as the program set it
 * (kreuzwerker/terraform-provider-docker 4.2.0, resourceDockerContainerRead).
 * @param id the stack's id. Undefined: the stack is new and has no containers
 */
export async function offNetwork(id: string | undefined, docker = new Docker()): Promise<string[]> {
  if (id === undefined) return [];
  const filters = ofStack(id);
  const [containers, networks] = await Promise.all([
    docker.listContainers({ filters }),
    docker.listNetworks({ filters }),
  ]);
  const ours = new Set(networks.map(({ Id }) => Id));
  const found = await Promise.all(containers.map(({ Id }) => inspect(docker, Id)));
  return found.flatMap((container) =>
    container === undefined || isReachable(container, ours) ? [] : [nameOf(container)],
  );
}

/** Arguments that recreate a container if it is one of these; otherwise none, which keeps the host name. */
export function rejoin(name: string, offNetwork: readonly string[]): { hostname?: string } {
  // Pulumi's names end in seven random digits. The host name works because the provider replaces a container when it
  // changes, and ignores that it is unset afterwards.
  const isOff = offNetwork.some((found) => found.startsWith(`${name}-`));
  return isOff ? { hostname: `rejoined-${randomBytes(4).toString("hex")}` } : {};
}

function isReachable({ Config, NetworkSettings }: ContainerInspectInfo, networks: ReadonlySet<string>): boolean {
  const place = places[Config.Labels["bitnet-server.role"] ?? ""];
  if (place === undefined) return true;
  const joined = Object.values(NetworkSettings.Networks).filter(({ NetworkID }) => networks.has(NetworkID));
  const names = joined.flatMap(({ Aliases }) => (Aliases as string[] | null | undefined) ?? []);
  return joined.length >= place.networks && (!place.isNamed || names.some((name) => aliases.has(name)));
}

function nameOf({ Name }: ContainerInspectInfo): string {
  return Name.replace(/^\//, "");
}

/** Undefined if the container has ended meanwhile. */
async function inspect(docker: Docker, id: string): Promise<ContainerInspectInfo | undefined> {
  try {
    return await docker.getContainer(id).inspect();
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}
