import Docker from "dockerode";
import type { ContainerInfo, ImageInfo } from "dockerode";
import { ofStack } from "../components/docker/ofStack.ts";
import { containerName, stackContainers } from "./stackContainers.ts";

/** A container, network, volume or image that belongs to a stack. */
export interface DockerResource {
  readonly kind: "container" | "network" | "volume" | "image";
  readonly id: string;
  readonly name: string;
}

/**
 * Everything in Docker that belongs to a stack, in the order in which it can be removed. An image that a foreign container
 * was made from is left out, because it is in use.
 * @param id the stack's id; undefined if it has none, and therefore nothing
 */
export async function dockerResourcesOf(id: string | undefined, docker = new Docker()): Promise<DockerResource[]> {
  if (id === undefined) return [];
  const filters = ofStack(id);
  const [containers, networks, { Volumes: volumes }, images] = await Promise.all([
    stackContainers(id, docker),
    docker.listNetworks({ filters }),
    docker.listVolumes({ filters }),
    imagesOf(id, docker),
  ]);
  const inUse = new Set((await usersOf(id, docker)).map(({ ImageID }) => ImageID));
  return [
    ...containers.map((found) => ({ kind: "container", id: found.Id, name: containerName(found) }) as const),
    ...networks.map(({ Id, Name }) => ({ kind: "network", id: Id, name: Name }) as const),
    ...volumes.map(({ Name }) => ({ kind: "volume", id: Name, name: Name }) as const),
    ...images
      .filter(({ Id }) => !inUse.has(Id))
      .map(({ Id, RepoTags }) => ({ kind: "image", id: Id, name: RepoTags?.[0] ?? Id }) as const),
  ];
}

/** Names of foreign containers that were made from the stack's images, and so keep these images. */
export async function foreignContainers(id: string | undefined, docker = new Docker()): Promise<string[]> {
  if (id === undefined) return [];
  return (await usersOf(id, docker)).map(containerName);
}

/** Images have a label of their own, because a container inherits the labels of its image. */
async function imagesOf(id: string, docker: Docker): Promise<ImageInfo[]> {
  return docker.listImages({ filters: { label: [`bitnet-server.image-of=${id}`] } });
}

async function usersOf(id: string, docker: Docker): Promise<ContainerInfo[]> {
  const [images, containers] = await Promise.all([imagesOf(id, docker), docker.listContainers({ all: true })]);
  const ours = new Set(images.map(({ Id }) => Id));
  return containers.filter(({ ImageID, Labels }) => ours.has(ImageID) && Labels["bitnet-server.id"] !== id);
}

/** Removes what it can, one after another. To find out what is left, list the resources again. */
export async function removeResources(resources: readonly DockerResource[], docker = new Docker()): Promise<void> {
  for (const resource of resources) await remove(resource, docker).catch(() => undefined);
}

async function remove({ kind, id }: DockerResource, docker: Docker): Promise<void> {
  if (kind === "container") await docker.getContainer(id).remove({ force: true, v: true });
  if (kind === "network") await docker.getNetwork(id).remove();
  if (kind === "volume") await docker.getVolume(id).remove();
  // By force, because an image can have several tags.
  if (kind === "image") await docker.getImage(id).remove({ force: true });
}

/** For people, such as "container fleet-replica-0-1b51f86, network fleet-2f3a". */
export function describeResources(resources: readonly DockerResource[]): string {
  return resources.map(({ kind, name }) => `${kind} ${name}`).join(", ");
}
