import * as aws from "@pulumi/aws";
import { UserError } from "../../errors.ts";
import type { Architecture } from "../../image/cpuTarget.ts";
import { familyOf } from "../../image/cpuTarget.ts";
import type { InstanceDemand, InstanceFacts } from "../instances.ts";
import { checkInstance } from "../instances.ts";
import { zonesWith } from "./places.ts";
import { wordsOf } from "./words.ts";

export async function lookUpInstance(instanceType: string, region: string): Promise<InstanceFacts> {
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
export async function lookUpSizes({ type }: InstanceFacts): Promise<InstanceFacts[]> {
  const filters = [{ name: "instance-type", values: [`${familyOf(type)}.*`] }];
  const { instanceTypes } = await aws.ec2.getInstanceTypes({ filters });
  const sizes = instanceTypes.filter((name) => !name.includes("metal"));
  return Promise.all(sizes.map(async (instanceType) => toFacts(await aws.ec2.getInstanceType({ instanceType }))));
}

/** Those of the given types that are offered and meet the demand: another family may have less memory. */
export async function onlyFit(types: readonly string[], demand: InstanceDemand): Promise<string[]> {
  const fit = async (instanceType: string) =>
    (await zonesWith(instanceType)).length > 0 &&
    checkInstance(toFacts(await aws.ec2.getInstanceType({ instanceType })), demand).length === 0;
  const fitting = await Promise.all(types.map(fit));
  return types.filter((_, index) => fitting[index]);
}
