import type { InstanceDescription } from "../../../components/aws/userData.ts";

const registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/** An instance of a stack whose name has 60 characters. */
export const description: InstanceDescription = {
  region: "eu-central-1",
  registry,
  serverImage: `${registry}/bitnet-${"s".repeat(60)}@sha256:${"0".repeat(64)}`,
  balancerImage: `${registry}/bitnet-${"s".repeat(60)}@sha256:${"1".repeat(64)}`,
  server: { modelAlias: "bitnet-b1.58-2B-4T", contextSize: 4096, parallel: 2, extraArgs: [] },
  apiKeys: 2,
  secretArn: `arn:aws:secretsmanager:eu-central-1:123456789012:secret:bitnet-${"s".repeat(60)}-AbCdEf`,
  secretVersion: "01234567-89ab-cdef-0123-456789abcdef",
  group: `bitnet-${"s".repeat(60)}`,
  hook: "launch",
  logGroup: `bitnet-${"s".repeat(60)}`,
  metricNamespace: "BitnetServer",
};
