import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { NamedKey } from "../settings/apiKeys.ts";
import { apiKeysValue, apiKeysVariable } from "../serving/gateway.ts";

export interface ApiKeysArgs {
  /** In clear; become a Pulumi secret. None: one of 40 characters is generated. */
  keys: readonly NamedKey[];
  tags: Record<string, string>;
}

/**
 * The API keys' hashes in Secrets Manager ($0.40 a month), in the form that the gateway reads. Their version changes with
 * them, and is in the task definition, so that a changed key rolls out: to rotate, add the new key, update, let the
 * clients change over, remove the old one, update.
 */
export class ApiKeys extends pulumi.ComponentResource {
  /** A secret: the first, for the outputs and the smoke test. */
  readonly first: pulumi.Output<string>;
  readonly secretArn: pulumi.Output<string>;
  readonly version: pulumi.Output<string>;

  constructor(name: string, { keys, tags }: ApiKeysArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:ApiKeys", name, {}, opts);
    const parent = { parent: this };

    const named = keys.length > 0 ? pulumi.output([...keys]) : this.generate(name);
    this.first = pulumi.secret(named.apply(([first]) => first?.key ?? ""));

    const secret = new aws.secretsmanager.Secret(
      name,
      {
        description: "BitNet Server: hashes of the API keys",
        // Destroy is final: the name is free again, and nothing is paid for.
        recoveryWindowInDays: 0,
        tags,
      },
      parent,
    );
    const text = named.apply((all) => JSON.stringify({ [apiKeysVariable]: apiKeysValue(all) }));
    const version = new aws.secretsmanager.SecretVersion(
      name,
      { secretId: secret.id, secretString: pulumi.secret(text) },
      parent,
    );
    // Of the version, so that whoever uses it waits until there is one.
    this.secretArn = version.secretArn;
    this.version = version.versionId;
    this.registerOutputs({ secretArn: this.secretArn, version: this.version });
  }
  private generate(name: string): pulumi.Output<NamedKey[]> {
    const { result } = new random.RandomPassword(name, { length: 40, special: false }, { parent: this });
    return result.apply((key) => [{ name: "key-1", key, limits: {} }]);
  }
}
