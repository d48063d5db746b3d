import type { Answer } from "../../../support/awsQuery.ts";
import type { Account } from "./account.ts";
import type { Configuration, FailedLaunch, Group, Refresh } from "./autoScaling.ts";

/** Answers what the rollout asks (components/aws/instanceRefresh.ts), in the words of AWS's query API. */
export async function answer({ autoScaling }: Account, parameters: URLSearchParams): Promise<Answer> {
  const value = (name: string) => parameters.get(name) ?? "";
  const list = (name: string) => [...parameters].filter(([key]) => key.startsWith(`${name}.`)).map(([, v]) => v);
  const group = () => {
    const found = autoScaling.groups.find(({ name }) => name === value("AutoScalingGroupName"));
    if (found === undefined) throw new Error(`there is no group ${value("AutoScalingGroupName")}`);
    return found;
  };
  const configuration = (policy: string): Configuration => ({
    templateId: value(`${policy}.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId`),
    version: value(`${policy}.LaunchTemplate.LaunchTemplateSpecification.Version`),
    instanceTypes: list(`${policy}.LaunchTemplate.Overrides`),
    onDemandBase: Number(value(`${policy}.InstancesDistribution.OnDemandBaseCapacity`)),
    onDemandPercentageAbove: Number(value(`${policy}.InstancesDistribution.OnDemandPercentageAboveBaseCapacity`)),
  });
  switch (value("Action")) {
    case "DescribeAutoScalingGroups": {
      const names = list("AutoScalingGroupNames");
      return { AutoScalingGroups: autoScaling.groups.filter(({ name }) => names.includes(name)).map(describeGroup) };
    }
    case "DescribeInstanceRefreshes": {
      const ids = list("InstanceRefreshIds");
      const found = group().refreshes.filter(({ id }) => ids.length === 0 || ids.includes(id));
      return { InstanceRefreshes: found.map(describeRefresh) };
    }
    case "StartInstanceRefresh": {
      const { id } = autoScaling.refresh(group(), configuration("DesiredConfiguration.MixedInstancesPolicy"));
      return { InstanceRefreshId: id };
    }
    case "UpdateAutoScalingGroup":
      group().configuration = configuration("MixedInstancesPolicy");
      return {};
    case "DescribeScalingActivities":
      return { Activities: group().failedLaunches.map(describeFailedLaunch) };
    case "TerminateInstances":
      await autoScaling.endStarting(list("InstanceId"));
      return {};
    case "DescribeTargetHealth": {
      const healthy = autoScaling
        .targetsOf(value("TargetGroupArn"))
        .map(({ id: Id }) => ({ Target: { Id }, TargetHealth: { State: "healthy" } }));
      return { TargetHealthDescriptions: healthy };
    }
    case "GetConsoleOutput": {
      const id = value("InstanceId");
      const running = autoScaling.groups.flatMap(({ instances }) => instances).find((instance) => instance.id === id);
      const text = (await running?.console()) ?? autoScaling.consoles.get(id) ?? "";
      return { output: Buffer.from(text).toString("base64") };
    }
    default:
      throw new Error(`the stand-in for AWS does not answer ${value("Action")}`);
  }
}

function describeGroup({ name, arn, configuration, instances }: Group): Answer {
  const { templateId: LaunchTemplateId, version: Version, instanceTypes } = configuration;
  const LaunchTemplate = {
    LaunchTemplateSpecification: { LaunchTemplateId, Version },
    Overrides: instanceTypes.map((InstanceType) => ({ InstanceType })),
  };
  const InstancesDistribution = {
    OnDemandBaseCapacity: configuration.onDemandBase,
    OnDemandPercentageAboveBaseCapacity: configuration.onDemandPercentageAbove,
  };
  return {
    AutoScalingGroupName: name,
    AutoScalingGroupARN: arn,
    MixedInstancesPolicy: { LaunchTemplate, InstancesDistribution },
    Instances: instances.map((instance) => ({
      InstanceId: instance.id,
      LifecycleState: instance.state,
      LaunchTemplate: { Version: instance.version },
    })),
  };
}

function describeFailedLaunch({ id: ActivityId, instanceId, reason: StatusMessage }: FailedLaunch): Answer {
  const Description = `Launching a new EC2 instance: ${instanceId}.  Status Reason: ${StatusMessage}`;
  return { ActivityId, Description, StatusCode: "Cancelled", StatusMessage };
}

function describeRefresh({ id: InstanceRefreshId, status: Status, reason: StatusReason }: Refresh): Answer {
  return { InstanceRefreshId, Status, StatusReason };
}
