import type { Problem } from "../errors.ts";
import type { ServerOptions } from "../serving/server.ts";
import type { Account } from "./account.ts";
import { metricNamespace } from "./monitoringBodies.ts";
import type { InstanceDescription } from "./userData.ts";
import { hookName, userData, userDataLimit } from "./userData.ts";

/** What decides about the size of the user data, and is known before anything is built. */
export interface UserDataDemand {
  account: Pick<Account, "id" | "partition" | "region">;
  /** The group's name, which the repository and the log group have as well. */
  group: string;
  server: ServerOptions;
  apiKeys: number;
}

/** What is wrong if the instances' user data would be larger than AWS takes: more of it than of the rest is the user's. */
export function checkUserData(demand: UserDataDemand): Problem[] {
  const size = sizeOf(demand);
  if (size <= userDataLimit) return [];
  const ofArguments = size - sizeOf({ ...demand, server: { ...demand.server, extraArgs: [] } });
  const ofKeys = size - sizeOf({ ...demand, apiKeys: 1 });
  const wrong = `with it an instance's user data has ${size} bytes, and AWS takes ${userDataLimit}`;
  const excess = size - userDataLimit;
  if (ofKeys > ofArguments) {
    const right = `fewer keys: all but the first take ${ofKeys} bytes, ${excess} too many`;
    return [{ key: "apiKeys", wrong, right }];
  }
  const right = `fewer or shorter arguments: quoted they take ${ofArguments} bytes, ${excess} too many`;
  return [{ key: "extraArgs", value: demand.server.extraArgs, wrong, right }];
}

function sizeOf(demand: UserDataDemand): number {
  return Buffer.byteLength(userData(describe(demand)));
}

/** With what AWS and the builds are yet to say at its full length. */
function describe({ account: { id, partition, region }, group, server, apiKeys }: UserDataDemand): InstanceDescription {
  const registry = `${id}.dkr.ecr.${region}.amazonaws.com.cn`;
  const image = `${registry}/${group}@sha256:${"0".repeat(64)}`;
  return {
    region,
    registry,
    serverImage: image,
    balancerImage: image,
    server,
    apiKeys,
    secretArn: `arn:${partition}:secretsmanager:${region}:${id}:secret:${"n".repeat(64)}`,
    secretVersion: "v".repeat(64), // docs.aws.amazon.com, API_PutSecretValue: at most
    group,
    hook: hookName,
    logGroup: group,
    metricNamespace,
  };
}
