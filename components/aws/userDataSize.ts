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

/** What is wrong if the instances' user data would be larger than AWS takes: the setting that takes most of it. */
export function checkUserData(demand: UserDataDemand): Problem[] {
  const { server } = demand;
  const size = sizeOf(demand);
  if (size <= userDataLimit) return [];
  const { extraArgs, smokePrompt, smokeAnswer } = server;
  const without = (changes: Partial<UserDataDemand>) => size - sizeOf({ ...demand, ...changes });
  const [largest] = [
    { bytes: without({ apiKeys: 1 }), setting: { key: "apiKeys" } },
    { bytes: without({ server: { ...server, extraArgs: [] } }), setting: { key: "extraArgs", value: extraArgs } },
    {
      bytes: without({ server: { ...server, smokePrompt: undefined } }),
      setting: { key: "smokePrompt", value: smokePrompt },
    },
    {
      bytes: without({ server: { ...server, smokeAnswer: undefined } }),
      setting: { key: "smokeAnswer", value: smokeAnswer },
    },
  ].toSorted((a, b) => b.bytes - a.bytes);
  const wrong = `with it an instance's user data has ${size} bytes, and AWS takes ${userDataLimit}`;
  const right = `${size - userDataLimit} bytes less; it takes ${largest?.bytes ?? 0}`;
  return largest === undefined ? [] : [{ ...largest.setting, wrong, right }];
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
