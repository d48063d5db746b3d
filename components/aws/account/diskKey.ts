import * as aws from "@pulumi/aws";

/**
 * Warns of a customer's key as the account's default for disks. Auto Scaling starts instances by a role of its own; a key
 * that this may not use ends them at once, with no more than "Client.InternalError" (docs.aws.amazon.com, "Required AWS KMS
 * key policy for use with encrypted volumes"). Whether it may, only the key's policy and grants say. One that may not be
 * looked at is not warned of.
 */
export async function diskKeyWarnings(): Promise<string[]> {
  try {
    const { keyArn } = await aws.ebs.getDefaultKmsKey();
    const { keyManager, enabled } = await aws.kms.getKey({ keyId: keyArn });
    if (keyManager !== "CUSTOMER") return [];
    const state = enabled ? "" : ", which is disabled";
    return [
      `the account encrypts disks by a customer's key, ${keyArn}${state}: unless its policy or a grant lets the role AWSServiceRoleForAutoScaling use it, no instance starts`,
    ];
  } catch {
    return [];
  }
}
