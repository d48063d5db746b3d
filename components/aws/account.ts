import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Checked, Problem } from "../errors.ts";
import { attempt } from "../errors.ts";
import type { MemoryNeed } from "../model/memory.ts";
import { slotsOf } from "../model/slots.ts";
import type { AwsSettings } from "../settings/aws.ts";
import { checkCertificate, lookUpHostedZone } from "./account/domain.ts";
import { diskKeyWarnings } from "./account/diskKey.ts";
import { checkImage } from "./account/givenImage.ts";
import { credentialWarnings, lookUpIdentity } from "./account/identity.ts";
import { lookUpInstance, lookUpSizes, onlyFit } from "./account/instanceTypes.ts";
import { checkPlace, zonesInUse, zonesWith } from "./account/places.ts";
import { serviceRoleWarnings } from "./account/serviceRoles.ts";
import type { InstanceFacts } from "./instances.ts";
import { alternatives, checkInstance, fits, usable } from "./instances.ts";
import type { QuotaNeed } from "./quotas.ts";
import { checkQuota, quotasFor } from "./quotas.ts";

/** Facts that only AWS knows, looked up before anything is built. */
export interface Account {
  id: string;
  partition: string;
  region: string;
  instance: InstanceFacts;
  /** Requests that a replica answers at once. */
  slots: number;
  /**
   * The types that the group may use: `instance`, and with spot every suitable type offered that runs the same code.
   */
  instanceTypes: readonly string[];
  /** Zones for the stack's own VPC: those that it is in already, then the others that offer the instance type. */
  zones: readonly string[];
  /** The hosted zone for the DNS record. Undefined: no record is created. */
  hostedZoneId: string | undefined;
  /** What works, but may fail before the end. */
  warnings: readonly string[];
}

/** The tags of everything that belongs to the stack. */
export function stackTags(): Record<string, string> {
  return { "bitnet-server:stack": pulumi.getStack(), "bitnet-server:project": pulumi.getProject() };
}

/**
 * Looks up and checks everything that AWS can tell about a stack's settings. It only reads, in previews too.
 * @param settings those that are valid in themselves; missing ones are not checked
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
  const { region } = identity.found;
  const [hostedZone, instance, ofDiskKey, ofRoles] = await Promise.all([
    attempt(() => lookUpHostedZone(settings)),
    checkInstances(settings, memoryNeed, region, tags),
    diskKeyWarnings(),
    serviceRoleWarnings(),
  ]);
  const problems = [
    ...instance.problems,
    ...(instance.found === undefined ? [] : await checkQuotas(settings, instance.found)),
    ...(instance.found === undefined ? [] : await checkImage(settings, { region, ...instance.found.instance })),
    ...hostedZone.problems,
    ...checkCertificate(settings.certificateArn, region),
  ];
  if (instance.found === undefined) return { found: undefined, problems };
  const warnings = [...ofDiskKey, ...ofRoles, ...credentialWarnings(process.env, Date.now())];
  const found = { ...identity.found, ...instance.found, hostedZoneId: hostedZone.found, warnings };
  return { found, problems };
}

/** Checks the instance type, and the places for its instances. */
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
  // Existing subnets stay where they are (network.ts); only a new one goes where the type is offered.
  const zones = [...used, ...offered.filter((zone) => !used.includes(zone))];

  const slots = slotsOf(settings, { cores: threads ?? instance.cores, memory: usable(instance) }, memoryNeed);
  const demand = { memory: memoryNeed?.(slots), cpuTarget, threads };
  const sizes = fits(instance, demand) ? [] : await lookUpSizes(instance);
  const ofInstance = checkInstance(instance, demand, sizes);
  const ofPlace = await checkPlace({ ...settings, instanceType, region }, offered, zones);
  const fitting = ofInstance.length > 0 ? [] : await onlyFit(alternatives(instance, spot), demand);
  const found = { instance, slots, instanceTypes: [instance.type, ...fitting], zones };
  return { found, problems: [...ofInstance, ...ofPlace] };
}

/** Checks what a rollout at maxReplicas takes of the account's quotas. A quota that may not be read is skipped. */
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
