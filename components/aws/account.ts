import * as aws from "@pulumi/aws";
import type { Problem } from "../errors.ts";
import { UserError } from "../errors.ts";
import type { Architecture } from "../image/cpuTarget.ts";
import { familyOf } from "../image/cpuTarget.ts";
import type { MemoryNeed } from "../model/memory.ts";
import type { Settings } from "../settings.ts";
import type { InstanceFacts } from "./instances.ts";
import { checkInstance, fits, typesOf } from "./instances.ts";

/** What only AWS knows, looked up before anything is built. */
export interface Account {
  id: string;
  partition: string;
  region: string;
  instance: InstanceFacts;
  /** The types that the group may take: `instance`, and with spot those that run the same code and are offered. */
  instanceTypes: readonly string[];
  /** The zones that have the instance type, in order. */
  zones: readonly string[];
  /** The hosted zone that the DNS record goes into; undefined: no record is made. */
  hostedZoneId: string | undefined;
}

type AwsSettings = Pick<
  Settings,
  | "instanceType"
  | "spot"
  | "zones"
  | "vpcId"
  | "publicSubnetIds"
  | "privateSubnetIds"
  | "domain"
  | "hostedZone"
  | "certificateArn"
  | "cpuTarget"
  | "threads"
>;

/**
 * Looks up and checks all that AWS has to say about a stack's settings. It only reads, in previews too.
 * @throws UserError with every mistake that was found, or with AWS's own words and what to do about them
 */
export async function inspectAccount(settings: AwsSettings, memory: MemoryNeed): Promise<Account> {
  const { id, partition, region } = await lookUpIdentity();
  const [instance, zones, hostedZoneId] = await Promise.all([
    lookUpInstance(settings.instanceType, region),
    zonesWith(settings.instanceType),
    lookUpHostedZone(settings),
  ]);

  const demand = { ...settings, memory };
  const sizes = fits(instance, demand) ? [] : await lookUpSizes(instance);
  const problems = [
    ...checkInstance(instance, demand, sizes),
    ...(settings.vpcId === undefined ? checkZones(settings, zones, region) : await checkSubnets(settings)),
    ...checkCertificate(settings.certificateArn, region),
  ];
  if (problems.length > 0) throw new UserError(...problems);

  const instanceTypes = await onlyOffered(typesOf(instance, settings.spot));
  return { id, partition, region, instance, instanceTypes, zones, hostedZoneId };
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

async function zonesWith(instanceType: string): Promise<string[]> {
  const filters = [{ name: "instance-type", values: [instanceType] }];
  const offerings = await aws.ec2.getInstanceTypeOfferings({ locationType: "availability-zone", filters });
  return [...new Set(offerings.locations)].toSorted();
}

async function onlyOffered(types: readonly string[]): Promise<string[]> {
  const zones = await Promise.all(types.map(zonesWith));
  return types.filter((_, index) => (zones[index]?.length ?? 0) > 0);
}

function checkZones({ zones, instanceType }: AwsSettings, offered: readonly string[], region: string): Problem[] {
  if (offered.length >= zones) return [];
  const wrong = `${region} offers a ${instanceType} in ${offered.length} zones (${offered.join(", ")})`;
  const right =
    offered.length < 2
      ? "an instanceType that is offered in two zones, or another region"
      : `at most ${offered.length}, another instanceType or another region`;
  return [{ key: offered.length < 2 ? "instanceType" : "zones", value: zones, wrong, right }];
}

/** An existing VPC's subnets: of that VPC, and in two zones at least, as a load balancer wants them. */
async function checkSubnets({ vpcId, publicSubnetIds, privateSubnetIds }: AwsSettings): Promise<Problem[]> {
  const check = async (key: string, ids: readonly string[]): Promise<Problem[]> => {
    const subnets = await Promise.all(ids.map((id) => aws.ec2.getSubnet({ id })));
    const foreign = subnets.filter((subnet) => subnet.vpcId !== vpcId).map(({ id }) => id);
    const zones = new Set(subnets.map(({ availabilityZone }) => availabilityZone));
    return [
      ...(foreign.length > 0
        ? [{ key, value: ids, wrong: `${foreign.join(", ")} is not of ${vpcId ?? ""}`, right: "subnets of that VPC" }]
        : []),
      ...(zones.size < 2
        ? [
            {
              key,
              value: ids,
              wrong: `they are in one zone, ${[...zones].join()}`,
              right: "subnets in two zones or more",
            },
          ]
        : []),
    ];
  };
  return [...(await check("publicSubnetIds", publicSubnetIds)), ...(await check("privateSubnetIds", privateSubnetIds))];
}

/** A load balancer takes certificates of its own region only. */
function checkCertificate(certificateArn: string | undefined, region: string): Problem[] {
  const itsRegion = certificateArn?.split(":")[3];
  if (itsRegion === undefined || itsRegion === region) return [];
  const wrong = `the certificate is in ${itsRegion}, and the load balancer in ${region}`;
  return [{ key: "certificateArn", value: certificateArn, wrong, right: `a certificate of ACM in ${region}` }];
}

async function lookUpHostedZone({ domain, hostedZone, certificateArn }: AwsSettings): Promise<string | undefined> {
  if (domain === undefined || (certificateArn !== undefined && hostedZone === undefined)) return undefined;
  const name = hostedZone ?? domain.slice(domain.indexOf(".") + 1);
  try {
    return (await aws.route53.getZone({ name })).zoneId;
  } catch (error) {
    const right =
      "a name in a Route 53 zone of this account (hostedZone names the zone), or a certificateArn, with the DNS record made by hand";
    throw new UserError({ key: "domain", value: domain, wrong: `no zone ${name}: ${wordsOf(error)}`, right });
  }
}

/** AWS's own words, without Pulumi's around them. */
function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^[\s\S]*returned an error: (invoking [^ ]+: )?/, "").trim();
}
