import * as aws from "@pulumi/aws";
import { wordsOf } from "./words.ts";

/**
 * The roles that ECS, Auto Scaling and ECS's scaling act by in an account, by service. A new account lacks them; the
 * cluster makes those that are missing. docs.aws.amazon.com, "Using service-linked roles" of each.
 */
export const serviceRoles = {
  "ecs.amazonaws.com": "AWSServiceRoleForECS",
  "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
  "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
} as const;

/** Says which of them are missing, and what making them takes. One that may not be looked at is not warned of. */
export async function serviceRoleWarnings(): Promise<string[]> {
  const names = Object.values(serviceRoles);
  const missing = await Promise.all(names.map(isMissing));
  const list = names.filter((_, index) => missing[index]).join(", ");
  if (list === "") return [];
  return [
    `the account does not have ${list} yet: the update creates them, which requires the permission iam:CreateServiceLinkedRole`,
  ];
}

/** In IAM's word, or Terraform's for it: hashicorp/terraform-provider-aws, internal/retry, NotFoundError. */
async function isMissing(name: string): Promise<boolean> {
  try {
    await aws.iam.getRole({ name });
    return false;
  } catch (error) {
    return /NoSuchEntity|couldn't find resource/.test(wordsOf(error));
  }
}
