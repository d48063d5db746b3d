import type { Answer } from "../../../support/awsQuery.ts";
import type { Account } from "./account.ts";
import type { Group, Refresh } from "./autoScaling.ts";

/** Answers what the rollout asks (components/aws/instanceRefresh/refresh.ts), in the words of AWS's query API. */
export async function answer({ autoScaling }: Account, parameters: URLSearchParams): Promise<Answer> {
  const value = (name: string) => parameters.get(name) ?? "";
  const list = (name: string) => [...parameters].filter(([key]) => key.startsWith(`${name}.member.`)).map(([, v]) => v);
  const group = () => {
    const found = autoScaling.groups.find(({ name }) => name === value("AutoScalingGroupName"));
    if (found === undefined) throw new Error(`there is no group ${value("AutoScalingGroupName")}`);
    return found;
  };
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
      const desired = "DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate";
      const { id } = autoScaling.refresh(group(), {
        templateId: value(`${desired}.LaunchTemplateSpecification.LaunchTemplateId`),
        version: value(`${desired}.LaunchTemplateSpecification.Version`),
        instanceTypes: list(`${desired}.Overrides`),
      });
      return { InstanceRefreshId: id };
    }
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

function describeGroup({ name, configuration, instances }: Group): Answer {
  const { templateId: LaunchTemplateId, version: Version, instanceTypes } = configuration;
  const LaunchTemplate = {
    LaunchTemplateSpecification: { LaunchTemplateId, Version },
    Overrides: instanceTypes.map((InstanceType) => ({ InstanceType })),
  };
  return {
    AutoScalingGroupName: name,
    MixedInstancesPolicy: { LaunchTemplate },
    Instances: instances.map((instance) => ({
      InstanceId: instance.id,
      LifecycleState: instance.state,
      LaunchTemplate: { Version: instance.version },
    })),
  };
}

function describeRefresh({ id: InstanceRefreshId, status: Status, reason: StatusReason }: Refresh): Answer {
  return { InstanceRefreshId, Status, StatusReason };
}
