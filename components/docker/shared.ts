import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { join } from "node:path";
import { dockerPlatform } from "../image/platform.ts";

/** What a container, network or volume is for. */
export type Role = "network" | "replica" | "load-balancer" | "registry" | "registry-blobs";

/** Says whose everything is that a stack makes on the Docker Engine, and what for: `docker ps --filter label=…`. */
export function labels(role: Role): { label: string; value: string }[] {
  return [
    { label: "bitnet-server.stack", value: pulumi.getStack() },
    { label: "bitnet-server.role", value: role },
  ];
}

/** At most 5 x 10 MB of log for each container; Docker's default has no limit. */
export const logRotation = { logDriver: "json-file", logOpts: { "max-size": "10m", "max-file": "5" } };

/** What holds for every container: no capabilities, unless it says which, nothing to write to, and started again if it ends. */
export const containment = {
  capabilities: { drops: ["ALL"] },
  securityOpts: ["no-new-privileges"],
  readOnly: true,
  restart: "unless-stopped",
};

/**
 * Processes and threads that a container's user may have. Linux counts a user's in all containers together, and a replica
 * has some 70 and one for each core; the provider has no limit that counts a container's alone (Docker's --pids-limit).
 */
export const processLimit = { name: "nproc", soft: 8192, hard: 8192 };

/** In MiB, as the provider has it. Without an equal memorySwap every later update would be a change. */
export function memoryLimit(bytes: number): { memory: number; memorySwap: number } {
  const memory = Math.ceil(bytes / 2 ** 20);
  return { memory, memorySwap: memory };
}

export interface SmallImage {
  /** The folder of docker/ that it is built from. */
  folder: "registry" | "load-balancer";
  baseImage: string;
  /** See components/image/imageCleanup.ts. */
  imageCleanup: pulumi.Resource;
  parent: pulumi.Resource;
}

/** Builds one of the small images on this machine's engine, where alone it is used: it is not pushed. */
export function buildLocally(name: string, { folder, baseImage, imageCleanup, parent }: SmallImage): docker.Image {
  const context = join("docker", folder);
  return new docker.Image(
    name,
    {
      imageName: `bitnet-server-${folder}:${pulumi.getStack()}`,
      build: {
        context,
        dockerfile: join(context, "Dockerfile"),
        args: { BASE_IMAGE: baseImage, STACK: pulumi.getStack() },
        platform: dockerPlatform(),
      },
      skipPush: true,
      buildOnPreview: false,
    },
    { parent, dependsOn: imageCleanup },
  );
}
