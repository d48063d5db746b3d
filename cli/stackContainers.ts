import Docker from "dockerode";
import type { ContainerInfo } from "dockerode";
import { ofStack } from "../components/docker/ofStack.ts";

/** A stack's containers, running or not. */
export async function stackContainers(id: string, docker = new Docker()): Promise<ContainerInfo[]> {
  return docker.listContainers({ all: true, filters: ofStack(id) });
}

/** A container's name for people: Docker's begins with a slash. */
export function containerName({ Id, Names }: Pick<ContainerInfo, "Id" | "Names">): string {
  return Names[0]?.slice(1) ?? Id;
}
