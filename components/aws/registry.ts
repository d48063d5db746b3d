import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { repositoryLifecycle } from "./policies.ts";
import type { Registry, RegistryCredentials } from "../image/registry.ts";

export interface EcrRegistryArgs {
  /** The repository's name: lower-case letters, digits, dashes. */
  repositoryName: string;
  tags: Record<string, string>;
}

/** The kinds of images that the repository has, as their tags begin. */
const kinds = ["server-", "gateway-", "balancer-"];

/**
 * A repository of Amazon's registry: $0.10 a GB and month, for the 20 images of a kind that were pushed last, which
 * share layers. Scanned for known vulnerabilities, encrypted, its tags immutable; what runs is named by digest.
 */
export class EcrRegistry extends pulumi.ComponentResource implements Registry {
  readonly repository: pulumi.Output<string>;
  readonly credentials: RegistryCredentials;
  readonly immutableTags = true;
  readonly repositoryArn: pulumi.Output<string>;

  constructor(name: string, { repositoryName, tags }: EcrRegistryArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:registry:EcrRegistry", name, {}, opts);
    const parent = { parent: this };

    const repository = new aws.ecr.Repository(
      name,
      {
        name: repositoryName,
        imageTagMutability: "IMMUTABLE",
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [{ encryptionType: "AES256" }],
        // Or destroy would fail because there are images.
        forceDelete: true,
        tags,
      },
      parent,
    );
    new aws.ecr.LifecyclePolicy(name, { repository: repository.name, policy: repositoryLifecycle(kinds) }, parent);
    // Of the repository's own registry; it is good for twelve hours, and every update gets a new one.
    const token = aws.ecr.getAuthorizationTokenOutput({ registryId: repository.registryId }, parent);

    this.repository = repository.repositoryUrl;
    this.repositoryArn = repository.arn;
    this.credentials = {
      server: repository.repositoryUrl.apply((url) => url.split("/", 1)[0] ?? url),
      username: token.userName,
      password: pulumi.secret(token.password),
    };
    this.registerOutputs({ repository: this.repository });
  }
}
