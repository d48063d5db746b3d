import Docker from "dockerode";
import type { ContainerInfo } from "dockerode";

/** What finds all that Docker has of a stack: containers, networks and volumes. @param id the stack's */
export function ofStack(id: string): { label: string[] } {
  return { label: [`bitnet-server.id=${id}`] };
}

/** A stack's containers, running or not. */
export async function stackContainers(id: string, docker = new Docker()): Promise<ContainerInfo[]> {
  return docker.listContainers({ all: true, filters: ofStack(id) });
}

/** A container's name for people: Docker's begins with a slash. */
export function containerName({ Id, Names }: Pick<ContainerInfo, "Id" | "Names">): string {
  return Names[0]?.slice(1) ?? Id;
}
