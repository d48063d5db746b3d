import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { join } from "node:path";
import { contextFolder, stageBuildContext } from "../image/buildContext.ts";
import { contextDigest } from "../image/contextDigest.ts";
import { uniqueTag } from "../image/imageTag.ts";
import { proxyArgs, secretArgs } from "../image/proxies.ts";
import type { StackId } from "../stackId.ts";
import type { EcrRegistry } from "./registry.ts";

export interface SmallImageArgs {
  stackId: StackId;
  registry: EcrRegistry;
  platform: string;
  /** A Debian 13 image: HAProxy and Node come from Debian. */
  baseImage: string;
}

/** The images built beside the server's: their folders in docker/, by their names here. */
const folders = { gateway: "gateway", haproxy: "load-balancer" };

/** One of the small images in the stack's repository, the same as the docker target's. @returns it by digest */
export function smallImage(
  name: keyof typeof folders,
  { stackId, registry, platform, baseImage }: SmallImageArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const context = contextFolder(pulumi.getStack(), folders[name]);
  stageBuildContext(join("docker", folders[name]), context);
  const args = { BASE_IMAGE: baseImage };
  const proxies = proxyArgs();
  const tag = uniqueTag(name, name, { context: contextDigest(context), args, platform }, proxies, opts);
  const image = new docker.Image(
    name,
    {
      imageName: pulumi.interpolate`${registry.repository}:${tag}`,
      build: {
        context,
        dockerfile: join(context, "Dockerfile"),
        args: { ...args, STACK_ID: stackId.hex, TAG: tag, ...secretArgs(proxies) },
        platform,
        builderVersion: docker.BuilderVersion.BuilderBuildKit,
      },
      registry: registry.credentials,
      buildOnPreview: false,
    },
    opts,
  );
  return image.repoDigest;
}
