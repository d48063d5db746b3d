import Docker from "dockerode";

/**
 * What Docker still has of a stack.
 * @returns such as "container bitnet-server-dev-llama-0"; empty if nothing is left
 */
export async function leftovers(stack: string, docker = new Docker()): Promise<string[]> {
  const filters = { label: [`bitnet-server.stack=${stack}`] };
  const [containers, networks, { Volumes: volumes }, images] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listNetworks({ filters }),
    docker.listVolumes({ filters }),
    docker.listImages({ filters }),
  ]);
  return [
    ...containers.map(({ Id, Names }) => `container ${Names[0]?.slice(1) ?? Id}`),
    ...networks.map(({ Name }) => `network ${Name}`),
    ...volumes.map(({ Name }) => `volume ${Name}`),
    ...images.map(({ Id, RepoTags }) => `image ${RepoTags?.[0] ?? Id}`),
  ];
}
