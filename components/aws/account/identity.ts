import * as aws from "@pulumi/aws";
import { UserError } from "../../errors.ts";
import { wordsOf } from "./words.ts";

/** Whose account it is, and where. */
export interface Identity {
  id: string;
  partition: string;
  region: string;
}

export async function lookUpIdentity(): Promise<Identity> {
  try {
    const [identity, partition, region] = await Promise.all([
      aws.getCallerIdentity(),
      aws.getPartition(),
      aws.getRegion(),
    ]);
    return { id: identity.accountId, partition: partition.partition, region: region.region };
  } catch (error) {
    throw new UserError({
      key: "AWS",
      wrong: wordsOf(error),
      right:
        "credentials that are valid now, as for the aws command: aws sso login, AWS_PROFILE or `pulumi config set aws:profile`; and a region: `pulumi config set aws:region eu-central-1`",
    });
  }
}
