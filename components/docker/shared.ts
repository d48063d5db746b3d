import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { join } from "node:path";
import { buildAgain } from "../image/buildAgain.ts";
import { contextFolder, stageBuildContext } from "../image/buildContext.ts";
import { dockerPlatform } from "../image/platform.ts";
import { proxyArgs, secretArgs } from "../image/proxies.ts";
import type { StackId } from "../stackId.ts";

/** What a container, network or volume is for. */
export type Role =
  | "network"
  | "replica"
  | "gateway"
  | "load-balancer"
  | "certificate"
  | "monitoring"
  | "monitoring-data"
  | "registry"
  | "registry-blobs";

/**
 * Labels everything that a stack creates on the Docker Engine. Filters use only the id. For people, there are also the
 * stack's name, as it was when the stack was created, and the purpose: `docker ps --filter label=…`.
 */
export function labels({ hex, firstName }: StackId, role: Role): { label: string; value: pulumi.Input<string> }[] {
  return [
    { label: "bitnet-server.id", value: hex },
    { label: "bitnet-server.stack", value: firstName },
    { label: "bitnet-server.role", value: role },
  ];
}

/** At most 5 x 10 MB of log per container; Docker's default has no limit. */
const logRotation = { logDriver: "json-file", logOpts: { "max-size": "10m", "max-file": "5" } };

/** No capabilities, no writable file system, and a restart if it ends. */
const containment = {
  capabilities: { drops: ["ALL"] },
  securityOpts: ["no-new-privileges"],
  readOnly: true,
  restart: "unless-stopped",
};

/**
 * Maximum processes and threads of a container's user. Linux counts a user's in all containers together. A replica has
 * some 70, and one per core. The provider lacks Docker's --pids-limit, which counts a single container's.
 */
export const processLimit = { name: "nproc", soft: 8192, hard: 8192 };

/** Settings of every container, unless it overrides them after this: its labels and its limits. */
export function common(stackId: StackId, role: Role, memoryBytes: number) {
  // In MiB, as the provider expects. Without an equal memorySwap, every later update would see a change.
  const memory = Math.ceil(memoryBytes / 2 ** 20);
  const limits = { memory, memorySwap: memory, ulimits: [processLimit] };
  return { ...limits, ...containment, ...logRotation, labels: labels(stackId, role) };
}

/** A container's environment as the provider expects it. */
export function environment(variables: Readonly<Record<string, pulumi.Input<string>>>): pulumi.Input<string>[] {
  return Object.entries(variables).map(([name, value]) => pulumi.interpolate`${name}=${value}`);
}

/** What the images of a stack have in common. */
export interface StackImages {
  stackId: StackId;
  /** The tags on this machine's engine. */
  onEngine: ReadonlySet<string>;
  /** Removes the stack's images at the very end: see components/image/imageCleanup.ts. */
  cleanup: pulumi.Resource;
  /** A Debian 13 image. */
  baseImage: string;
}

/** Builds one of the small images on this machine's engine. It is used only there, so it is not pushed. */
export function buildLocally(
  name: string,
  folder: "registry" | "load-balancer" | "gateway" | "monitoring",
  { stackId, onEngine, cleanup, baseImage }: StackImages,
  parent: pulumi.Resource,
): docker.Image {
  const context = contextFolder(pulumi.getStack(), folder);
  stageBuildContext(join("docker", folder), context);
  const repository = `bitnet-server-${folder}`;
  const again = buildAgain(onEngine.has(`${repository}:${String(stackId.known)}`));
  return new docker.Image(
    name,
    {
      imageName: pulumi.interpolate`${repository}:${stackId.hex}`,
      build: {
        context,
        dockerfile: join(context, "Dockerfile"),
        args: { BASE_IMAGE: baseImage, STACK_ID: stackId.hex, ...again.args, ...secretArgs(proxyArgs()) },
        platform: dockerPlatform(),
      },
      skipPush: true,
      buildOnPreview: false,
    },
    { parent, dependsOn: cleanup, ignoreChanges: again.ignoreChanges },
  );
}
