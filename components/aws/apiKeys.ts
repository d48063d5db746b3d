import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

export interface ApiKeysArgs {
  /** In clear; become a Pulumi secret. None: one of 40 characters is generated. */
  keys: readonly string[];
  tags: Record<string, string>;
}

/**
 * The API keys in Secrets Manager ($0.40 a month), in the form that the instances hand to HAProxy: an environment
 * file. Their version changes with them, and is in the user data, so that a changed key rolls out: to rotate, add the
 * new key, update, let the clients change over, remove the old one, update.
 */
export class ApiKeys extends pulumi.ComponentResource {
  /** A secret: the first, for the outputs and the smoke test. */
  readonly first: pulumi.Output<string>;
  readonly count: number;
  readonly secretArn: pulumi.Output<string>;
  readonly version: pulumi.Output<string>;

  constructor(name: string, { keys, tags }: ApiKeysArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:ApiKeys", name, {}, opts);
    const parent = { parent: this };

    const [first, ...others] = keys;
    this.first = pulumi.secret(first ?? new random.RandomPassword(name, { length: 40, special: false }, parent).result);
    this.count = 1 + others.length;

    const secret = new aws.secretsmanager.Secret(
      name,
      {
        description: "BitNet Server: API keys, as an environment file",
        // Destroy is final: the name is free again, and nothing is paid for.
        recoveryWindowInDays: 0,
        tags,
      },
      parent,
    );
    const lines = this.first.apply((key) =>
      [key, ...others].map((each, index) => `API_KEY_${index}=${each}`).join("\n"),
    );
    const version = new aws.secretsmanager.SecretVersion(
      name,
      { secretId: secret.id, secretString: pulumi.secret(lines) },
      parent,
    );
    // Of the version, so that whoever uses it waits until there is one.
    this.secretArn = version.secretArn;
    this.version = version.versionId;
    this.registerOutputs({ secretArn: this.secretArn, version: this.version });
  }
}
