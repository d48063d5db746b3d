import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { join } from "node:path";
import { contextFolder, stageBuildContext } from "../image/buildContext.ts";
import { contextDigest } from "../image/contextDigest.ts";
import { contentTag } from "../image/imageTag.ts";
import { dockerPlatform } from "../image/platform.ts";
import { proxyArgs, secretArgs } from "../image/proxies.ts";

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
  const context = contextFolder(pulumi.getStack(), folder);
  stageBuildContext(join("docker", folder), context);
  const args = { BASE_IMAGE: baseImage, STACK: pulumi.getStack() };
  const platform = dockerPlatform();
  return new docker.Image(
    name,
    {
      imageName: `bitnet-server-${folder}:${contentTag({ context: contextDigest(context), args, platform })}`,
      build: {
        context,
        dockerfile: join(context, "Dockerfile"),
        args: { ...args, ...secretArgs(proxyArgs()) },
        platform,
      },
      skipPush: true,
      buildOnPreview: false,
    },
    { parent, dependsOn: imageCleanup },
  );
}
