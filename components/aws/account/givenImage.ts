import * as aws from "@pulumi/aws";
import type { Problem } from "../../errors.ts";
import { attempt, UserError } from "../../errors.ts";
import type { Architecture } from "../../image/cpuTarget.ts";
import { platformOf } from "../../image/cpuTarget.ts";
import type { AwsSettings } from "../../settings/aws.ts";
import type { ImageReference, Login } from "../imageReference.ts";
import { ecrOf, parseReference, platformsOf } from "../imageReference.ts";
import { wordsOf } from "./words.ts";

/**
 * Checks an image that was built elsewhere: that the instances can reach its registry, that it exists, and that it is
 * for their architecture. Only the smoke test tells whether it contains the model that the settings name.
 */
export async function checkImage(
  { image, egress, vpcId }: Partial<AwsSettings>,
  { architecture, region, type }: { architecture: Architecture; region: string; type: string },
): Promise<Problem[]> {
  if (image === undefined) return [];
  const reference = parseReference(image);
  const wanted = platformOf(architecture);
  if (vpcId === undefined && egress === "endpoints" && ecrOf(reference)?.region !== region) {
    const wrong = `with egress: endpoints the instances reach no registry but ECR in ${region}`;
    return [
      { key: "image", value: image, wrong, right: `the image in a repository of ECR in ${region}, or egress: nat` },
    ];
  }
  const { found, problems } = await attempt(() => lookUpPlatforms(image, reference));
  if (found === undefined || found.includes(wanted)) return [...problems];
  const wrong = `it is for ${found.join(", ")}, and a ${type} is ${architecture}`;
  return [{ key: "image", value: image, wrong, right: `an image for ${wanted}, or an instanceType that it is for` }];
}

async function lookUpPlatforms(image: string, reference: ImageReference): Promise<string[]> {
  try {
    return await platformsOf(reference, await loginTo(reference));
  } catch (error) {
    const right = "a digest that is in a public registry, or in a repository of ECR that this account may pull from";
    throw new UserError({ key: "image", value: image, wrong: wordsOf(error), right });
  }
}

/** Logs in to ECR with the credentials of whoever deploys. */
async function loginTo(reference: ImageReference): Promise<Login | undefined> {
  const ecr = ecrOf(reference);
  if (ecr === undefined) return undefined;
  const { userName, password } = await aws.ecr.getAuthorizationToken({ registryId: ecr.account, region: ecr.region });
  return { username: userName, password };
}
