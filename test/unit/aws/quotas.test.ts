import { expect, test } from "vitest";
import { checkAddresses, checkQuota, quotasFor } from "../../../components/aws/quotas.ts";

const demand = { minReplicas: 1, maxReplicas: 4, spot: 0, vcpus: 8, natGateways: 2 };
const [onDemand, addresses] = quotasFor(demand);

test("a rollout at maxReplicas is counted: vCPUs on demand, and an address for each NAT gateway", () => {
  expect(onDemand).toMatchObject({ quotaCode: "L-1216C47A", needed: 64, key: "maxReplicas", value: 4 });
  expect(addresses).toMatchObject({ quotaCode: "L-0263D0A3", needed: 2 });
});

test("spot instances have a quota of their own", () => {
  const needs = quotasFor({ ...demand, minReplicas: 2, spot: 50, natGateways: 0 });
  expect(needs.map(({ quotaCode, needed }) => [quotaCode, needed])).toEqual([
    ["L-1216C47A", 32],
    ["L-34B43A08", 16],
  ]);
});

test("a quota that is too small is refused, with the code by which more is asked for", () => {
  if (onDemand === undefined) throw new Error("nothing is needed");
  expect(checkQuota(onDemand, 64)).toEqual([]);
  expect(checkQuota(onDemand, undefined)).toEqual([]);
  expect(checkQuota(onDemand, 5)).toMatchObject([
    {
      key: "maxReplicas",
      value: 4,
      wrong: "a rollout with it needs 64 vCPUs on demand, and the account's quota, shared by everything in it, is 5",
      right: expect.stringContaining("--quota-code L-1216C47A --desired-value 64") as string,
    },
  ]);
});

test("subnets with too few addresses for a rollout at maxReplicas are refused", () => {
  const replicas = { minReplicas: 2, maxReplicas: 10 };
  expect(checkAddresses("vpcCidr", { value: "10.0.0.0/24", free: [11, 11] }, replicas)).toMatchObject([
    { key: "vpcCidr", wrong: "a rollout with maxReplicas 10 needs 30 addresses, and its subnets have 22" },
  ]);
  expect(checkAddresses("vpcCidr", { value: "10.0.0.0/23", free: [27, 27] }, replicas)).toEqual([]);
});

test("a schedule's maxReplicas above the setting's is what counts", () => {
  const scaling = [{ minReplicas: 2, maxReplicas: 10 }];
  const needs = quotasFor({ ...demand, minReplicas: 2, scaling, natGateways: 0 });
  expect(needs).toMatchObject([{ needed: 120, key: "scaling", value: 10 }]);
  const replicas = { minReplicas: 2, maxReplicas: 4, scaling };
  expect(checkAddresses("vpcCidr", { value: "10.0.0.0/24", free: [11, 11] }, replicas)).toMatchObject([
    { wrong: "a rollout with maxReplicas 10 needs 30 addresses, and its subnets have 22" },
  ]);
});
