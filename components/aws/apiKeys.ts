import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { NamedKey } from "../settings/apiKeys.ts";
import { apiKeysValue, apiKeysVariable } from "../serving/gateway.ts";

export interface ApiKeysArgs {
  /** In plain text; they become a Pulumi secret. If there are none, one of 40 characters is generated. */
  keys: readonly NamedKey[];
  tags: Record<string, string>;
}

/**
 * The API keys' hashes in Secrets Manager ($0.40 a month), in the form that the gateway reads. Their version changes
 * with them and is part of the task definition, so a changed key rolls out. To rotate: add the new key, update, switch
 * the clients, remove the old key, update.
 */
export class ApiKeys extends pulumi.ComponentResource {
  /** The first key, for the outputs and the smoke test. A secret. */
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
        // Destroy is final: the name is free again, and costs end.
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
    // The version's, so that resources that use it wait until the version exists.
    this.secretArn = version.secretArn;
    this.version = version.versionId;
    this.registerOutputs({ secretArn: this.secretArn, version: this.version });
  }
  private generate(name: string): pulumi.Output<NamedKey[]> {
    const { result } = new random.RandomPassword(name, { length: 40, special: false }, { parent: this });
    return result.apply((key) => [{ name: "key-1", key, limits: {} }]);
  }
}
