import * as aws from "@pulumi/aws";

/**
 * Warns if the account's default key for disks is customer-managed. Auto Scaling starts instances with a role of its
 * own. If that role may not use the key, the instances end at once, with no more than "Client.InternalError"
 * (docs.aws.amazon.com, "Required AWS KMS key policy for use with encrypted volumes"). Only the key's policy and grants
 * tell whether it may. There is no warning if the default key may not be looked up.
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
