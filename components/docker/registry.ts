import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { Registry, RegistryCredentials } from "../image/registry.ts";
import type { StackImages } from "./shared.ts";
import { buildLocally, common, labels } from "./shared.ts";

export interface LocalRegistryArgs {
  /** The port on 127.0.0.1. Docker pushes to a registry on loopback without TLS. */
  port: number;
  /** The registry is Debian's package, in its own image. */
  images: StackImages;
  /** What it already has. */
  tags: ReadonlySet<string>;
}

/** A registry in a container, on loopback. Its blobs are in its own volume, about the image's compressed size. */
export class LocalRegistry extends pulumi.ComponentResource implements Registry {
  readonly repository: pulumi.Output<string>;
  readonly credentials = undefined;
  readonly tags: ReadonlySet<string>;
  /** The container's id. */
  readonly containerId: pulumi.Output<string>;

  constructor(name: string, args: LocalRegistryArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:registry:LocalRegistry", name, {}, opts);
    const parent = { parent: this };

    const { stackId } = args.images;
    const image = buildLocally(`${name}-image`, "registry", args.images, this);
    const blobs = new docker.Volume(`${name}-blobs`, { labels: labels(stackId, "registry-blobs") }, parent);
    const container = new docker.Container(
      name,
      {
        image: image.repoDigest,
        ports: [{ internal: 5000, external: args.port, ip: "127.0.0.1" }],
        volumes: [{ volumeName: blobs.name, containerPath: "/var/lib/registry" }],
        ...common(stackId, "registry", registryMemory),
        wait: true,
      },
      { ...parent, deleteBeforeReplace: true, replaceOnChanges: ["mustRun"] }, // there is only one port
    );

    this.tags = args.tags;
    this.containerId = container.id;
    // The name is known before the container runs, so whatever pushes has to wait for the container.
    this.repository = pulumi.all([container.id]).apply(() => localRepository(args.port));
    this.registerOutputs({ repository: this.repository });
  }
}

/** It streams uploads to its disk. */
const registryMemory = 512 * 2 ** 20;

/** The repository of the server's images in a local registry on this port. */
export function localRepository(port: number): string {
  return `127.0.0.1:${port}/bitnet-server`;
}

export interface ExternalRegistryArgs {
  /** Host and repository, such as registry.example.com/team/bitnet-server. */
  repository: string;
  /** Undefined: the login that `docker login` has stored on this machine. The password becomes a Pulumi secret. */
  login: { username: string; password: string } | undefined;
}

/** An existing registry. No resource is created: what is pushed there stays when the stack is destroyed. */
export class ExternalRegistry implements Registry {
  readonly repository: pulumi.Output<string>;
  readonly credentials: RegistryCredentials | undefined;

  constructor({ repository, login }: ExternalRegistryArgs) {
    this.repository = pulumi.output(repository);
    this.credentials = login && {
      server: pulumi.output(repository.slice(0, repository.indexOf("/"))),
      username: pulumi.output(login.username),
      password: pulumi.secret(login.password),
    };
  }
}
