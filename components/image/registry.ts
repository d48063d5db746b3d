import type * as pulumi from "@pulumi/pulumi";

/** The registry that a stack's image is pushed to and run from. */
export interface Registry {
  /** Host and repository, without a tag: 127.0.0.1:5088/bitnet-server. */
  readonly repository: pulumi.Output<string>;
  /** The login. Undefined if the registry needs none, or after `docker login`. */
  readonly credentials: RegistryCredentials | undefined;
  /** true: the registry refuses a tag that it has had, so every push needs a new tag. */
  readonly immutableTags?: boolean;
  /** The tags that it has now, before anything changes. Undefined: it is assumed to have what was pushed. */
  readonly tags?: ReadonlySet<string>;
}

export interface RegistryCredentials {
  readonly server: pulumi.Output<string>;
  readonly username: pulumi.Output<string>;
  /** A Pulumi secret. */
  readonly password: pulumi.Output<string>;
}
