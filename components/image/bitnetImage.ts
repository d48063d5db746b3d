import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { basename, join } from "node:path";
import type { StackId } from "../stackId.ts";
import { buildAgain } from "./buildAgain.ts";
import { contextFolder, stageBuildContext } from "./buildContext.ts";
import { contextDigest } from "./contextDigest.ts";
import { isGitUrl } from "./engineSource.ts";
import { uniqueTag } from "./imageTag.ts";
import type { PrivateModelArgs } from "./privateModel.ts";
import { downloadPrivateModel, privateModelName } from "./privateModel.ts";
import { proxyArgs, secretArgs } from "./proxies.ts";
import type { Registry } from "./registry.ts";

export interface BitnetImageArgs {
  stackId: StackId;
  registry: Registry;
  /** The model built into the image: downloaded during the build from a URL, or copied from a file on this machine. */
  model: { url: string } | { path: string };
  /** Access token for a gated or private model at a URL. Default: the model is public. */
  modelToken?: string | undefined;
  /** Default: any file is accepted once it is known to be a BitNet GGUF. */
  modelSha256?: string | undefined;
  engine: "bitnet.cpp" | "ik_llama.cpp";
  /** A git URL, or a source tarball on this machine. Default: docker/server/Dockerfile's for the engine. */
  engineRepo?: string | undefined;
  /** Default: docker/server/Dockerfile's, the commit with which this version was tested. */
  engineRef?: string | undefined;
  /** See the setting of that name. It costs another minute of compiling. */
  optimize: boolean;
  /** `native`, or a name that -march accepts. */
  cpuTarget: string;
  /** linux/amd64 or linux/arm64. */
  platform: string;
  baseImage: string;
  /** What has to be created before the image and removed after it. */
  dependsOn: pulumi.Resource[];
}

/**
 * The server's image, with engine and model built in, pushed to the registry. Everything downstream uses its digest.
 */
export class BitnetImage extends pulumi.ComponentResource {
  /** `repository@sha256:…` */
  readonly digest: pulumi.Output<string>;

  constructor(name: string, args: BitnetImageArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:image:BitnetImage", name, {}, opts);

    const { platform, registry, stackId } = args;
    const { context, download } = this.layOutContext(name, args);
    const [buildArgs, proxies] = [buildArguments(args), proxyArgs()];
    // A private model is part of the context once it has been downloaded.
    const build = () =>
      pulumi.output(download?.id).apply(() => ({ context: contextDigest(context), args: buildArgs, platform }));
    const ownTag = registry.immutableTags ? uniqueTag(name, "server", build(), proxies, { parent: this }) : undefined;
    const again = buildAgain(registry.tags === undefined || registry.tags.has(String(stackId.known)));
    const image = new docker.Image(
      name,
      {
        imageName: pulumi.interpolate`${registry.repository}:${ownTag ?? stackId.hex}`,
        build: {
          context,
          dockerfile: join(context, "Dockerfile"),
          platform,
          args: {
            ...buildArgs,
            STACK_ID: stackId.hex,
            ...(ownTag === undefined ? again.args : { TAG: ownTag }),
            ...secretArgs(proxies),
          },
          builderVersion: docker.BuilderVersion.BuilderBuildKit,
        },
        ...(registry.credentials === undefined ? {} : { registry: registry.credentials }),
        // A preview shows what would be built, but does not build it.
        buildOnPreview: false,
      },
      {
        parent: this,
        dependsOn: [...args.dependsOn, ...(download === undefined ? [] : [download])],
        ignoreChanges: again.ignoreChanges,
      },
    );

    this.digest = image.repoDigest;
    this.registerOutputs({ digest: this.digest });
  }

  /** Lays out the build context. A private model is downloaded into it when an update runs. */
  private layOutContext(name: string, args: BitnetImageArgs) {
    const context = contextFolder(pulumi.getStack(), "server");
    const privateModel = privateModelOf(args, context);
    const kept = privateModel && basename(privateModel.destination);
    stageBuildContext(join("docker", "server"), context, localFiles(args), kept);
    return { context, download: privateModel && downloadPrivateModel(`${name}-model`, privateModel, { parent: this }) };
  }
}

/** docker/server/Dockerfile's arguments. A file on this machine is given by its name in the build context. */
export function buildArguments(
  args: Omit<BitnetImageArgs, "stackId" | "registry" | "platform" | "dependsOn">,
): Record<string, string> {
  const { engineRepo, engineRef, modelSha256 } = args;
  return {
    MODEL_URL: modelLocation(args),
    ...(modelSha256 === undefined ? {} : { MODEL_SHA256: modelSha256 }),
    ENGINE: args.engine,
    ...(engineRepo === undefined ? {} : { ENGINE_REPO: isGitUrl(engineRepo) ? engineRepo : basename(engineRepo) }),
    ...(engineRef === undefined ? {} : { ENGINE_REF: engineRef }),
    OPTIMIZE: String(args.optimize),
    CPU_TARGET: args.cpuTarget,
    BASE_IMAGE: args.baseImage,
  };
}

/** By the time the image is built, a private model is a file in the context. */
function modelLocation({ model, modelToken }: Pick<BitnetImageArgs, "model" | "modelToken">): string {
  if ("path" in model) {
    return basename(model.path);
  }
  return modelToken === undefined ? model.url : privateModelName(model.url);
}

function privateModelOf({ model, modelToken }: BitnetImageArgs, context: string): PrivateModelArgs | undefined {
  if ("path" in model || modelToken === undefined) {
    return undefined;
  }
  const destination = join(context, "context", "model", privateModelName(model.url));
  return { url: model.url, token: modelToken, destination };
}

function localFiles({ model, engineRepo }: BitnetImageArgs) {
  return {
    ...("path" in model ? { model: model.path } : {}),
    ...(engineRepo === undefined || isGitUrl(engineRepo) ? {} : { engine: engineRepo }),
  };
}
