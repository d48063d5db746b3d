import type * as pulumi from "@pulumi/pulumi";

/** Where a stack's image is pushed to and run from. */
export interface Registry {
  /** Host and repository, without a tag: 127.0.0.1:5088/bitnet-server. */
  readonly repository: pulumi.Output<string>;
  /** How to log in; undefined where the registry asks for nothing, or where `docker login` has been done. */
  readonly credentials: RegistryCredentials | undefined;
  /** true: the registry refuses a tag that it has had, so that every push needs a tag of its own. */
  readonly immutableTags?: boolean;
  /** The tags that it has now, before anything is changed. Undefined: it is taken to have what was pushed. */
  readonly tags?: ReadonlySet<string>;
}

export interface RegistryCredentials {
  readonly server: pulumi.Output<string>;
  readonly username: pulumi.Output<string>;
  /** A Pulumi secret. */
  readonly password: pulumi.Output<string>;
}
