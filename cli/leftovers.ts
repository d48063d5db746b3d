import Docker from "dockerode";

/** A thing that Docker has of a stack. */
export interface Leftover {
  readonly kind: "container" | "network" | "volume" | "image";
  readonly id: string;
  readonly name: string;
}

/** What Docker still has of a stack, in the order in which it can be removed. */
export async function leftovers(stack: string, docker = new Docker()): Promise<Leftover[]> {
  const filters = { label: [`bitnet-server.stack=${stack}`] };
  const [containers, networks, { Volumes: volumes }, images] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listNetworks({ filters }),
    docker.listVolumes({ filters }),
    docker.listImages({ filters }),
  ]);
  return [
    ...containers.map(({ Id, Names }) => ({ kind: "container", id: Id, name: Names[0]?.slice(1) ?? Id }) as const),
    ...networks.map(({ Id, Name }) => ({ kind: "network", id: Id, name: Name }) as const),
    ...volumes.map(({ Name }) => ({ kind: "volume", id: Name, name: Name }) as const),
    ...images.map(({ Id, RepoTags }) => ({ kind: "image", id: Id, name: RepoTags?.[0] ?? Id }) as const),
  ];
}

/** Removes them, one after another, as far as it can: what is left then is found by looking again. */
export async function removeLeftovers(things: readonly Leftover[], docker = new Docker()): Promise<void> {
  for (const thing of things) await remove(thing, docker).catch(() => undefined);
}

async function remove({ kind, id }: Leftover, docker: Docker): Promise<void> {
  if (kind === "container") await docker.getContainer(id).remove({ force: true, v: true });
  if (kind === "network") await docker.getNetwork(id).remove();
  if (kind === "volume") await docker.getVolume(id).remove();
  // By force, because an image can have several tags.
  if (kind === "image") await docker.getImage(id).remove({ force: true });
}

/** For people, such as "container fleet-replica-0-1b51f86, network fleet-2f3a". */
export function describeLeftovers(things: readonly Leftover[]): string {
  return things.map(({ kind, name }) => `${kind} ${name}`).join(", ");
}
