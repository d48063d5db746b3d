import * as aws from "@pulumi/aws";
import manifest from "@pulumi/aws/package.json" with { type: "json" };
import type { Problem } from "../../errors.ts";
import { UserError } from "../../errors.ts";
import { wordsOf } from "./words.ts";

/** Whose account it is, and where. */
export interface Identity {
  id: string;
  partition: string;
  region: string;
}

/** @throws UserError if AWS cannot be asked, or does not answer */
export async function lookUpIdentity(): Promise<Identity> {
  try {
    const [identity, partition, region] = await Promise.all([
      aws.getCallerIdentity(),
      aws.getPartition(),
      aws.getRegion(),
    ]);
    return { id: identity.accountId, partition: partition.partition, region: region.region };
  } catch (error) {
    throw new UserError(unanswered(wordsOf(error)));
  }
}

/**
 * Why AWS could not be asked. A missing plugin is not a matter of credentials.
 * @param words the message of Pulumi or AWS; Pulumi's about a plugin: pulumi/pulumi,
 *   sdk/go/common/workspace/plugins.go, MissingError
 */
export function unanswered(words: string): Problem {
  if (/resource plugin '?(pulumi-resource-)?aws\b/.test(words)) {
    const right = `the plugin, where the network reaches Pulumi's: \`pulumi plugin install resource aws v${manifest.version}\`; on a closed network the aws target does not work`;
    return { key: "Pulumi's aws plugin", wrong: words, right };
  }
  const right =
    "credentials that are valid now, as for the aws command: aws sso login, AWS_PROFILE or `pulumi config set aws:profile`; and a region: `pulumi config set aws:region eu-central-1`";
  return { key: "AWS", wrong: words, right };
}

/** Minutes that an update usually takes: half an hour for the first one, longer for a rollout of several replicas. */
const usualMinutes = 60;

/**
 * Warns of credentials that are likely to expire before the update ends. Only those in the environment expire for good,
 * and only some tools say when (`aws configure export-credentials`, aws-vault). The provider renews a profile's
 * credentials.
 */
export function credentialWarnings(environment: NodeJS.ProcessEnv, now: number): string[] {
  const { AWS_SESSION_TOKEN = "", AWS_CREDENTIAL_EXPIRATION = "" } = environment;
  const minutes = Math.floor((Date.parse(AWS_CREDENTIAL_EXPIRATION) - now) / 60_000);
  if (AWS_SESSION_TOKEN === "" || !(minutes < usualMinutes)) return [];
  return [
    `the credentials in the environment end in ${Math.max(0, minutes)} minutes (AWS_CREDENTIAL_EXPIRATION), and an update may take ${usualMinutes}: one that they do not outlast fails, although ECS goes on with its rollout; get new ones first`,
  ];
}
