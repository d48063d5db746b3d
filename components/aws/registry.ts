import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { repositoryLifecycle } from "./policies.ts";
import type { Registry, RegistryCredentials } from "../image/registry.ts";

export interface EcrRegistryArgs {
  /** The repository's name: lower-case letters, digits, dashes. */
  repositoryName: string;
  tags: Record<string, string>;
}

/** The kinds of images in the repository: the prefixes of their tags. */
const kinds = ["server-", "gateway-", "haproxy-"];

/**
 * A repository in ECR: $0.10 per GB and month, for the 20 most recently pushed images of each kind, which share layers.
 * It is scanned for known vulnerabilities and encrypted, and its tags are immutable. Running images are named by
 * digest.
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
        // Otherwise destroy would fail because of the images.
        forceDelete: true,
        tags,
      },
      parent,
    );
    new aws.ecr.LifecyclePolicy(name, { repository: repository.name, policy: repositoryLifecycle(kinds) }, parent);
    // For the repository's own registry. It is valid for twelve hours, and every update gets a new one.
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
