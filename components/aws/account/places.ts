import * as aws from "@pulumi/aws";
import type { Checked, Problem } from "../../errors.ts";
import { attempt, UserError } from "../../errors.ts";
import type { AwsSettings } from "../../settings/aws.ts";
import { endpointServices } from "../network.ts";
import { checkAddresses } from "../quotas.ts";
import { layOutSubnets } from "../subnets.ts";
import { wordsOf } from "./words.ts";

/** Where instances go, and of which type they are. */
export type Place = Partial<AwsSettings> & { instanceType: string; region: string };

/**
 * Checks the places for the instances.
 * @param offered the zones that offer the type
 * @param zones those for a VPC of the stack's own, in order
 */
export async function checkPlace(
  place: Place,
  offered: readonly string[],
  zones: readonly string[],
): Promise<Problem[]> {
  if (place.vpcId !== undefined) return checkSubnets(place, offered);
  if (place.zones === undefined) return [];
  const range = place.vpcCidr === undefined ? [] : checkOwnRange(place, place.vpcCidr, zones.slice(0, place.zones));
  return [...checkZones(place, place.zones, zones.slice(0, place.zones), offered), ...range];
}

/** AWS reserves five addresses of each subnet; an endpoint takes one in each. */
function checkOwnRange({ egress, ...replicas }: Place, vpcCidr: string, zones: readonly string[]): Problem[] {
  const taken = 5 + (egress === "endpoints" ? endpointServices.length : 0);
  const free = layOutSubnets(vpcCidr, zones).map(
    ({ privateCidr }) => 2 ** (32 - Number(privateCidr.split("/")[1])) - taken,
  );
  return checkAddresses("vpcCidr", { value: vpcCidr, free }, replicas);
}

/** Undefined: the subnets are not known. Addresses that the stack uses already are not told apart from others'. */
function freeAddresses(subnets: Subnets | undefined) {
  if (subnets === undefined) return undefined;
  return { value: subnets.map(({ id }) => id), free: subnets.map((subnet) => subnet.availableIpAddressCount) };
}

/**
 * In order. Excludes Local Zones, which appear among the offerings once they are opted in to: they have little of AWS.
 */
export async function zonesWith(instanceType: string): Promise<string[]> {
  const [offerings, { names }] = await Promise.all([
    aws.ec2.getInstanceTypeOfferings({
      locationType: "availability-zone",
      filters: [{ name: "instance-type", values: [instanceType] }],
    }),
    aws.getAvailabilityZones({
      state: "available",
      filters: [{ name: "zone-type", values: ["availability-zone"] }],
    }),
  ]);
  return names.filter((name) => offerings.locations.includes(name)).toSorted();
}

/** The zones that the stack's own VPC is in, in its subnets' order; none before the first update. */
export async function zonesInUse({ vpcId }: Partial<AwsSettings>, tags: Record<string, string>): Promise<string[]> {
  if (vpcId !== undefined) return [];
  const { ids } = await aws.ec2.getSubnets({ tags });
  const subnets = await Promise.all(ids.map((id) => aws.ec2.getSubnet({ id })));
  const inOrder = subnets.toSorted((a, b) => (a.tags.Name ?? "").localeCompare(b.tags.Name ?? ""));
  return [...new Set(inOrder.map(({ availabilityZone }) => availabilityZone))];
}

function checkZones(
  { instanceType, region }: Place,
  zones: number,
  chosen: readonly string[],
  offered: readonly string[],
): Problem[] {
  if (offered.length >= zones) return checkPlacement(instanceType, chosen, offered);
  const wrong = `${region} offers a ${instanceType} in ${offered.length} zones (${offered.join(", ")})`;
  const right =
    offered.length < 2
      ? "an instanceType that is offered in two zones, or another region"
      : `at most ${offered.length}, another instanceType or another region`;
  return [
    offered.length < 2
      ? { key: "instanceType", value: instanceType, wrong, right }
      : { key: "zones", value: zones, wrong, right },
  ];
}

/** Whether the zones that instances would go into offer the type: two of them, so that one may be lost. */
function checkPlacement(instanceType: string, zones: readonly string[], offered: readonly string[]): Problem[] {
  const fit = zones.filter((zone) => offered.includes(zone));
  // Subnets in a single zone are refused for that reason.
  if (fit.length >= 2 || zones.length < 2) return [];
  const wrong = `the instances' subnets are in ${zones.join(", ")}, and it is offered in ${offered.join(", ") || "none"}`;
  return [{ key: "instanceType", value: instanceType, wrong, right: "a type that two of the subnets' zones have" }];
}

/** An existing VPC's subnets have to belong to it and be in at least two zones, as a load balancer requires. */
async function checkSubnets(
  { vpcId = "", publicSubnetIds, privateSubnetIds, instanceType, ...replicas }: Place,
  offered: readonly string[],
): Promise<Problem[]> {
  const [ofLoadBalancer, ofInstances] = await Promise.all([
    lookUpSubnets("publicSubnetIds", publicSubnetIds),
    lookUpSubnets("privateSubnetIds", privateSubnetIds),
  ]);
  return [
    ...ofLoadBalancer.problems,
    ...ofInstances.problems,
    ...checkSubnetList("publicSubnetIds", ofLoadBalancer.found, vpcId),
    ...checkSubnetList("privateSubnetIds", ofInstances.found, vpcId),
    ...checkPlacement(instanceType, zonesOf(ofInstances.found), offered),
    ...checkAddresses("privateSubnetIds", freeAddresses(ofInstances.found), replicas),
  ];
}

type Subnets = readonly aws.ec2.GetSubnetResult[];

async function lookUpSubnets(key: string, ids: readonly string[] = []): Promise<Checked<Subnets>> {
  return attempt(async () => {
    try {
      return await Promise.all(ids.map((id) => aws.ec2.getSubnet({ id })));
    } catch (error) {
      throw new UserError({ key, value: ids, wrong: wordsOf(error), right: "subnets of the VPC that `vpcId` names" });
    }
  });
}

const zonesOf = (subnets: Subnets = []) => [...new Set(subnets.map(({ availabilityZone }) => availabilityZone))];

/** Fewer than two are refused when the settings are checked. */
function checkSubnetList(key: string, subnets: Subnets = [], vpcId: string): Problem[] {
  const value = subnets.map(({ id }) => id);
  if (value.length < 2) return [];
  const foreign = subnets.filter((subnet) => subnet.vpcId !== vpcId).map(({ id }) => id);
  const zones = zonesOf(subnets);
  const problems: Problem[] = [];
  if (foreign.length > 0) {
    problems.push({ key, value, wrong: `${foreign.join(", ")} is not in ${vpcId}`, right: "subnets of that VPC" });
  }
  if (zones.length < 2) {
    problems.push({
      key,
      value,
      wrong: `they are in one zone, ${zones.join()}`,
      right: "subnets in two zones or more",
    });
  }
  return problems;
}
