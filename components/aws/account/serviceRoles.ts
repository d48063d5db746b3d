import * as aws from "@pulumi/aws";
import { wordsOf } from "./words.ts";

/**
 * The roles with which ECS, Auto Scaling and ECS's scaling act in an account, by service. A new account lacks them; the
 * cluster creates the missing ones. See "Using service-linked roles" of each service, docs.aws.amazon.com.
 */
export const serviceRoles = {
  "ecs.amazonaws.com": "AWSServiceRoleForECS",
  "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
  "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
} as const;

/**
 * Says which of them are missing, and what creating them takes. There is no warning of one that may not be looked up.
 */
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
