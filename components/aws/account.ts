import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Checked, Problem } from "../errors.ts";
import { attempt, UserError } from "../errors.ts";
import type { Architecture } from "../image/cpuTarget.ts";
import { familyOf } from "../image/cpuTarget.ts";
import type { MemoryNeed } from "../model/memory.ts";
import { chooseSlots } from "../model/slots.ts";
import type { AwsSettings } from "../settings/aws.ts";
import type { InstanceDemand, InstanceFacts } from "./instances.ts";
import { layOutSubnets } from "./subnets.ts";
import { alternatives, checkInstance, fits, usable } from "./instances.ts";
import { endpointServices } from "./network.ts";
import type { QuotaNeed } from "./quotas.ts";
import { checkAddresses, checkQuota, quotasFor } from "./quotas.ts";

/** What only AWS knows, looked up before anything is built. */
export interface Account {
  id: string;
  partition: string;
  region: string;
  instance: InstanceFacts;
  /** Requests that a replica answers at once. */
  slots: number;
  /** The types that the group may take: `instance`, and with spot those that run the same code, are offered and can do it. */
  instanceTypes: readonly string[];
  /** The zones for a VPC of the stack's own: those that it is in already, then the others that have the instance type. */
  zones: readonly string[];
  /** The hosted zone that the DNS record goes into; undefined: no record is made. */
  hostedZoneId: string | undefined;
}

/** The tags of everything that belongs to the stack. */
export function stackTags(): Record<string, string> {
  return { "bitnet-server:stack": pulumi.getStack(), "bitnet-server:project": pulumi.getProject() };
}

/**
 * Looks up and checks all that AWS has to say about a stack's settings. It only reads, in previews too.
 * @param settings those that are right in themselves; what is missing is not checked
 * @param memoryNeed of a replica that answers so many requests at once, if the model is known
 * @param tags by which the stack's own subnets are found
 */
export async function inspectAccount(
  settings: Partial<AwsSettings>,
  memoryNeed: ((slots: number) => MemoryNeed) | undefined,
  tags: Record<string, string>,
): Promise<Checked<Account>> {
  const identity = await attempt(lookUpIdentity);
  if (identity.found === undefined) return { found: undefined, problems: identity.problems };
  const { id, partition, region } = identity.found;
  const [hostedZone, instance] = await Promise.all([
    attempt(() => lookUpHostedZone(settings)),
    checkInstances(settings, memoryNeed, region, tags),
  ]);
  const problems = [
    ...instance.problems,
    ...(instance.found === undefined ? [] : await checkQuotas(settings, instance.found)),
    ...hostedZone.problems,
    ...checkCertificate(settings.certificateArn, region),
  ];
  const found =
    instance.found === undefined
      ? undefined
      : { id, partition, region, ...instance.found, hostedZoneId: hostedZone.found };
  return { found, problems };
}

/** Checks the instance type, and where its instances are to be. */
async function checkInstances(
  settings: Partial<AwsSettings>,
  memoryNeed: ((slots: number) => MemoryNeed) | undefined,
  region: string,
  tags: Record<string, string>,
): Promise<Checked<Pick<Account, "instance" | "slots" | "instanceTypes" | "zones">>> {
  const { instanceType, cpuTarget = "native", threads, spot = 0 } = settings;
  if (instanceType === undefined) return { found: undefined, problems: [] };
  const [{ found: instance, problems }, offered, used] = await Promise.all([
    attempt(() => lookUpInstance(instanceType, region)),
    zonesWith(instanceType),
    zonesInUse(settings, tags),
  ]);
  if (instance === undefined) return { found: undefined, problems };
  // Subnets stay where they are (network.ts); only a new one is put where the type is.
  const zones = [...used, ...offered.filter((zone) => !used.includes(zone))];

  const slots = slotsOf(settings, instance, memoryNeed);
  const demand = { memory: memoryNeed?.(slots), cpuTarget, threads };
  const sizes = fits(instance, demand) ? [] : await lookUpSizes(instance);
  const ofInstance = checkInstance(instance, demand, sizes);
  const ofPlace = await checkPlace({ ...settings, instanceType, region }, offered, zones);
  const fitting = ofInstance.length > 0 ? [] : await onlyFit(alternatives(instance, spot), demand);
  const found = { instance, slots, instanceTypes: [instance.type, ...fitting], zones };
  return { found, problems: [...ofInstance, ...ofPlace] };
}

function slotsOf(
  { parallel, threads, engine = "ik_llama.cpp" }: Partial<AwsSettings>,
  instance: InstanceFacts,
  memoryNeed: ((slots: number) => MemoryNeed) | undefined,
): number {
  const room = { cores: threads ?? instance.cores, memory: usable(instance) };
  return parallel ?? (memoryNeed === undefined ? 1 : chooseSlots(engine, room, memoryNeed));
}

type Place = Partial<AwsSettings> & { instanceType: string; region: string };

async function checkPlace(place: Place, offered: readonly string[], zones: readonly string[]): Promise<Problem[]> {
  if (place.vpcId !== undefined) return checkSubnets(place, offered);
  if (place.zones === undefined) return [];
  const range = place.vpcCidr === undefined ? [] : checkOwnRange(place, place.vpcCidr, zones.slice(0, place.zones));
  return [...checkZones(place, place.zones, zones.slice(0, place.zones), offered), ...range];
}

/** AWS keeps five addresses of each subnet; an endpoint has one in each. */
function checkOwnRange({ egress, ...replicas }: Place, vpcCidr: string, zones: readonly string[]): Problem[] {
  const taken = 5 + (egress === "endpoints" ? endpointServices.length : 0);
  const free = layOutSubnets(vpcCidr, zones).map(
    ({ privateCidr }) => 2 ** (32 - Number(privateCidr.split("/")[1])) - taken,
  );
  return checkAddresses("vpcCidr", { value: vpcCidr, free }, replicas);
}

/** Undefined: the subnets are not known. What of the stack's own takes addresses already is not told from others'. */
function freeAddresses(subnets: Subnets | undefined) {
  if (subnets === undefined) return undefined;
  return { value: subnets.map(({ id }) => id), free: subnets.map((subnet) => subnet.availableIpAddressCount) };
}

async function lookUpIdentity(): Promise<Pick<Account, "id" | "partition" | "region">> {
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

async function lookUpInstance(instanceType: string, region: string): Promise<InstanceFacts> {
  try {
    return toFacts(await aws.ec2.getInstanceType({ instanceType }));
  } catch (error) {
    const right = `an EC2 type that ${region} has, such as c7a.2xlarge`;
    throw new UserError({ key: "instanceType", value: instanceType, wrong: wordsOf(error), right });
  }
}

function toFacts(type: aws.ec2.GetInstanceTypeResult): InstanceFacts {
  const architecture: Architecture = type.supportedArchitectures.includes("arm64") ? "arm64" : "x86_64";
  return {
    type: type.instanceType,
    architecture,
    vcpus: type.defaultVcpus,
    cores: type.defaultCores,
    memoryBytes: type.memorySize * 2 ** 20,
    burstable: type.burstablePerformanceSupported,
    accelerated: [type.gpuses, type.inferenceAccelerators, type.neuronDevices, type.fpgas].some(
      (list) => list.length > 0,
    ),
  };
}

/** The family's sizes, without bare metal. */
async function lookUpSizes({ type }: InstanceFacts): Promise<InstanceFacts[]> {
  const filters = [{ name: "instance-type", values: [`${familyOf(type)}.*`] }];
  const { instanceTypes } = await aws.ec2.getInstanceTypes({ filters });
  const sizes = instanceTypes.filter((name) => !name.includes("metal"));
  return Promise.all(sizes.map(async (instanceType) => toFacts(await aws.ec2.getInstanceType({ instanceType }))));
}

/** In order. Without Local Zones, which offerings list as well once they are opted in to: little of AWS is there. */
async function zonesWith(instanceType: string): Promise<string[]> {
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
async function zonesInUse({ vpcId }: Partial<AwsSettings>, tags: Record<string, string>): Promise<string[]> {
  if (vpcId !== undefined) return [];
  const { ids } = await aws.ec2.getSubnets({ tags });
  const subnets = await Promise.all(ids.map((id) => aws.ec2.getSubnet({ id })));
  const inOrder = subnets.toSorted((a, b) => (a.tags.Name ?? "").localeCompare(b.tags.Name ?? ""));
  return [...new Set(inOrder.map(({ availabilityZone }) => availabilityZone))];
}

/** Of these types, those that are offered and that can do what is wanted: another family has less memory. */
async function onlyFit(types: readonly string[], demand: InstanceDemand): Promise<string[]> {
  const fit = async (instanceType: string) =>
    (await zonesWith(instanceType)).length > 0 &&
    checkInstance(toFacts(await aws.ec2.getInstanceType({ instanceType })), demand).length === 0;
  const fitting = await Promise.all(types.map(fit));
  return types.filter((_, index) => fitting[index]);
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

/** Whether the zones that instances would be put into have the type: two, for the one that is lost. */
function checkPlacement(instanceType: string, zones: readonly string[], offered: readonly string[]): Problem[] {
  const fit = zones.filter((zone) => offered.includes(zone));
  // Subnets in one zone are refused for that.
  if (fit.length >= 2 || zones.length < 2) return [];
  const wrong = `the instances' subnets are in ${zones.join(", ")}, and it is offered in ${offered.join(", ") || "none"}`;
  return [{ key: "instanceType", value: instanceType, wrong, right: "a type that two of the subnets' zones have" }];
}

/** An existing VPC's subnets: of that VPC, and in two zones at least, as a load balancer wants them. */
async function checkSubnets(
  { vpcId = "", publicSubnetIds, privateSubnetIds, instanceType, ...replicas }: Place,
  offered: readonly string[],
): Promise<Problem[]> {
  const [ofBalancer, ofInstances] = await Promise.all([
    lookUpSubnets("publicSubnetIds", publicSubnetIds),
    lookUpSubnets("privateSubnetIds", privateSubnetIds),
  ]);
  return [
    ...ofBalancer.problems,
    ...ofInstances.problems,
    ...checkSubnetList("publicSubnetIds", ofBalancer.found, vpcId),
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

/** Fewer than two were refused with the settings. */
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

/** What a rollout at maxReplicas takes of the account's quotas. One that may not be read is not checked. */
async function checkQuotas(
  { minReplicas, maxReplicas, scaling, spot = 0, vpcId, egress, zones }: Partial<AwsSettings>,
  { instance }: Pick<Account, "instance">,
): Promise<Problem[]> {
  if (minReplicas === undefined || maxReplicas === undefined) return [];
  const natGateways = vpcId === undefined && egress === "nat" ? (zones ?? 0) : 0;
  const needs = quotasFor({ minReplicas, maxReplicas, scaling, spot, vcpus: instance.vcpus, natGateways });
  const problems = await Promise.all(needs.map(async (need) => checkQuota(need, await lookUpQuota(need))));
  return problems.flat();
}

async function lookUpQuota({ quotaCode }: QuotaNeed): Promise<number | undefined> {
  try {
    return (await aws.servicequotas.getServiceQuota({ serviceCode: "ec2", quotaCode })).value;
  } catch {
    return undefined;
  }
}

/** A load balancer takes certificates of its own region only. */
function checkCertificate(certificateArn: string | undefined, region: string): Problem[] {
  const itsRegion = certificateArn?.split(":")[3];
  if (itsRegion === undefined || itsRegion === region) return [];
  const wrong = `the certificate is in ${itsRegion}, and the load balancer in ${region}`;
  return [{ key: "certificateArn", value: certificateArn, wrong, right: `a certificate of ACM in ${region}` }];
}

async function lookUpHostedZone(settings: Partial<AwsSettings>): Promise<string | undefined> {
  const { domain, hostedZone, certificateArn, internal = false } = settings;
  if (domain === undefined || (certificateArn !== undefined && hostedZone === undefined)) return undefined;
  const parent = domain.slice(domain.indexOf(".") + 1);
  // The domain may be a zone itself. Nobody has one of a top-level domain.
  const names = hostedZone === undefined ? [domain, parent].filter((name) => name.includes(".")) : [hostedZone];
  const zones = await Promise.allSettled(names.map((name) => aws.route53.getZone({ name, privateZone: internal })));
  const found = zones.find((zone) => zone.status === "fulfilled");
  if (found !== undefined) return found.value.zoneId;
  const words = zones.flatMap((zone) => (zone.status === "rejected" ? wordsOf(zone.reason) : []));
  const kind = internal ? "private" : "public";
  const wrong = `no ${kind} zone ${names.join(" or ")}: ${words.at(-1) ?? ""}`;
  const right =
    "a name in a Route 53 zone of this account (hostedZone names the zone), or a certificateArn, with the DNS record made by hand";
  throw new UserError({ key: "domain", value: domain, wrong, right });
}

/** AWS's own words, without Pulumi's around them. */
function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^[\s\S]*returned an error: (invoking [^ ]+: )?/, "").trim();
}
