import type { TaskDescription } from "../../../components/aws/service/taskDefinition.ts";

const registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const image = (digit: string) => `${registry}/bitnet-prod@sha256:${digit.repeat(64)}`;

/** A task of a stack on c7a.2xlarge. */
export const description: TaskDescription = {
  region: "eu-central-1",
  images: { server: image("0"), gateway: image("1"), haproxy: image("2") },
  server: { modelAlias: "bitnet-b1.58-2B-4T", contextSize: 4096, parallel: 2, extraArgs: ["--cache-reuse", "a=b"] },
  gateway: {
    prompt: { chatTemplate: undefined, bosToken: undefined, eosToken: undefined, specialTokens: ["<|eot_id|>"] },
  },
  vcpus: 8,
  memoryBytes: 2.5 * 2 ** 30,
  secretArn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bitnet-prod-AbCdEf",
  secretVersion: "01234567-89ab-cdef-0123-456789abcdef",
  logGroup: "bitnet-prod",
  metricNamespace: "BitnetServer",
  service: "bitnet-prod",
  launchTemplate: "lt-0123:7",
};
