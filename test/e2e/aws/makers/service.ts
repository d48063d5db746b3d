/** What runs in the network: the cluster, the service, and what they need. */
import type * as autoScaling from "@aws-sdk/client-auto-scaling";
import type * as cloudWatch from "@aws-sdk/client-cloudwatch";
import type * as ec2 from "@aws-sdk/client-ec2";
import type * as scaling from "@aws-sdk/client-application-auto-scaling";
import type * as ecs from "@aws-sdk/client-ecs";
import type * as ecr from "@aws-sdk/client-ecr";
import type { Inputs, Maker } from "../clients.ts";
import { awsNames, ecsTags, required, stringTags, tagList } from "../clients.ts";

export const service: Readonly<Record<string, Maker>> = {
  "aws:ec2/launchTemplate:LaunchTemplate": async ({ ec2: client }, inputs, LaunchTemplateName) => {
    const { tags, vpcSecurityGroupIds, blockDeviceMappings, tagSpecifications, ...rest } = inputs;
    const disks = blockDeviceMappings as { ebs: { encrypted: string; deleteOnTermination: string } }[];
    const LaunchTemplateData = {
      ...(awsNames(rest) as ec2.RequestLaunchTemplateData),
      SecurityGroupIds: vpcSecurityGroupIds as string[],
      BlockDeviceMappings: disks.map(({ ebs, ...disk }) => ({
        ...(awsNames(disk) as ec2.LaunchTemplateBlockDeviceMappingRequest),
        Ebs: {
          ...(awsNames(ebs) as ec2.LaunchTemplateEbsBlockDeviceRequest),
          Encrypted: ebs.encrypted === "true",
          DeleteOnTermination: ebs.deleteOnTermination === "true",
        },
      })),
      TagSpecifications: (tagSpecifications as { resourceType: ec2.ResourceType; tags: unknown }[]).map((each) => ({
        ResourceType: each.resourceType,
        Tags: tagList(each.tags),
      })),
    };
    const TagSpecifications = [{ ResourceType: "launch-template" as const, Tags: tagList(tags) }];
    const made = await client.createLaunchTemplate({ LaunchTemplateName, LaunchTemplateData, TagSpecifications });
    return {
      id: required(made.LaunchTemplate?.LaunchTemplateId),
      state: { latestVersion: made.LaunchTemplate?.LatestVersionNumber },
    };
  },
  "aws:iam/role:Role": async ({ iam: client }, inputs, RoleName) => {
    const { assumeRolePolicy, path, permissionsBoundary, tags } = inputs;
    const input = {
      RoleName,
      AssumeRolePolicyDocument: assumeRolePolicy as string,
      Path: path as string,
      PermissionsBoundary: permissionsBoundary as string,
      Tags: tagList(tags),
    };
    const { Role } = await client.createRole(input);
    return { id: RoleName, state: { name: RoleName, arn: required(Role?.Arn) } };
  },
  "aws:iam/rolePolicy:RolePolicy": async ({ iam: client }, { role, policy }, PolicyName) => {
    const input = { RoleName: role as string, PolicyName, PolicyDocument: policy as string };
    await client.putRolePolicy(input);
    return { id: PolicyName, state: {} };
  },
  "aws:iam/instanceProfile:InstanceProfile": async ({ iam: client }, { role, tags }, InstanceProfileName) => {
    const input = { InstanceProfileName, Tags: tagList(tags) };
    const { InstanceProfile } = await client.createInstanceProfile(input);
    await client.addRoleToInstanceProfile({ InstanceProfileName, RoleName: role as string });
    return { id: InstanceProfileName, state: { arn: required(InstanceProfile?.Arn) } };
  },
  "aws:ecr/repository:Repository": async ({ ecr: client }, inputs) => {
    const [encryption] = inputs.encryptionConfigurations as { encryptionType: ecr.EncryptionType }[];
    const { repository } = await client.createRepository({
      repositoryName: inputs.name as string,
      imageTagMutability: inputs.imageTagMutability as ecr.ImageTagMutability,
      imageScanningConfiguration: inputs.imageScanningConfiguration as ecr.ImageScanningConfiguration,
      encryptionConfiguration: required(encryption),
      tags: tagList(inputs.tags),
    });
    const { registryId, repositoryUri, repositoryArn, repositoryName } = required(repository);
    return {
      id: required(repositoryName),
      state: { registryId, repositoryUrl: repositoryUri, arn: repositoryArn, name: repositoryName },
    };
  },
  "aws:ecr/lifecyclePolicy:LifecyclePolicy": async ({ ecr: client }, { repository, policy }) => {
    const input = { repositoryName: repository as string, lifecyclePolicyText: policy as string };
    await client.putLifecyclePolicy(input);
    return { id: repository as string, state: {} };
  },
  "aws:secretsmanager/secret:Secret": async ({ secrets: client }, { description, tags }, Name) => {
    const input = { Name, Description: description as string, Tags: tagList(tags) };
    const { ARN } = await client.createSecret(input);
    return { id: required(ARN), state: { arn: ARN } };
  },
  "aws:secretsmanager/secretVersion:SecretVersion": async ({ secrets: client }, { secretId, secretString }) => {
    const input = { SecretId: secretId as string, SecretString: secretString as string };
    const { VersionId, ARN } = await client.putSecretValue(input);
    return { id: required(VersionId), state: { versionId: VersionId, secretArn: required(ARN) } };
  },
  "aws:cloudwatch/logGroup:LogGroup": async ({ logs: client }, { name, retentionInDays, tags }) => {
    const logGroupName = name as string;
    await client.createLogGroup({ logGroupName, tags: tags as Record<string, string> });
    await client.putRetentionPolicy({ logGroupName, retentionInDays: retentionInDays as number });
    const found = await client.describeLogGroups({ logGroupNamePrefix: logGroupName });
    return { id: logGroupName, state: { arn: required(found.logGroups?.[0]?.arn).replace(/:\*$/, "") } };
  },
  "aws:autoscaling/group:Group": async ({ autoScaling: client }, inputs, AutoScalingGroupName) => {
    const { vpcZoneIdentifiers, tags, protectFromScaleIn, capacityRebalance, ...group } = inputs;
    for (const own of ["waitForCapacityTimeout", "forceDelete"]) Reflect.deleteProperty(group, own); // the provider's
    const input = {
      ...(awsNames(group) as autoScaling.CreateAutoScalingGroupCommandInput),
      AutoScalingGroupName,
      NewInstancesProtectedFromScaleIn: protectFromScaleIn as boolean,
      CapacityRebalance: capacityRebalance as boolean,
      VPCZoneIdentifier: (vpcZoneIdentifiers as string[]).join(),
      Tags: awsNames(tags) as autoScaling.Tag[],
    };
    await client.createAutoScalingGroup(input);
    const names = { AutoScalingGroupNames: [AutoScalingGroupName] };
    const { AutoScalingGroups } = await client.describeAutoScalingGroups(names);
    const arn = required(AutoScalingGroups?.[0]?.AutoScalingGroupARN);
    return { id: AutoScalingGroupName, state: { name: AutoScalingGroupName, arn } };
  },
  "aws:ecs/cluster:Cluster": async ({ ecs: client }, { name, tags }) => {
    const input = { clusterName: name as string, tags: ecsTags(tags) };
    const { cluster } = await client.createCluster(input);
    return { id: required(cluster?.clusterArn), state: { arn: cluster?.clusterArn, name } };
  },
  "aws:ecs/capacityProvider:CapacityProvider": async ({ ecs: client }, { autoScalingGroupProvider, tags }, name) => {
    const provider = autoScalingGroupProvider as ecs.AutoScalingGroupProvider;
    const input = { name, autoScalingGroupProvider: provider, tags: ecsTags(tags) };
    const { capacityProvider } = await client.createCapacityProvider(input);
    return { id: required(capacityProvider?.capacityProviderArn), state: { name } };
  },
  "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": async (
    { ecs: client },
    { clusterName, capacityProviders },
  ) => {
    const input = { cluster: clusterName as string, capacityProviders: capacityProviders as string[] };
    await client.putClusterCapacityProviders({ ...input, defaultCapacityProviderStrategy: [] });
    return { id: clusterName as string, state: {} };
  },
  "aws:ecs/taskDefinition:TaskDefinition": async ({ ecs: client }, { containerDefinitions, tags, ...inputs }) => {
    const input = {
      ...(inputs as unknown as ecs.RegisterTaskDefinitionCommandInput),
      containerDefinitions: JSON.parse(containerDefinitions as string) as ecs.ContainerDefinition[],
      tags: ecsTags(tags),
    };
    const { taskDefinition } = await client.registerTaskDefinition(input);
    return { id: required(taskDefinition?.family), state: { arn: required(taskDefinition?.taskDefinitionArn) } };
  },
  "aws:ecs/service:Service": async ({ ecs: client }, inputs) => {
    const {
      name,
      deploymentMinimumHealthyPercent: minimumHealthyPercent,
      deploymentMaximumPercent: maximumPercent,
      deploymentCircuitBreaker,
      alarms,
      capacityProviderStrategies: capacityProviderStrategy,
      orderedPlacementStrategies: placementStrategy,
      networkConfiguration,
      enableEcsManagedTags: enableECSManagedTags,
      tags,
      ...rest
    } = inputs;
    const { assignPublicIp, ...network } = networkConfiguration as Inputs;
    const input = {
      ...rest,
      serviceName: name,
      deploymentConfiguration: { minimumHealthyPercent, maximumPercent, deploymentCircuitBreaker, alarms },
      capacityProviderStrategy,
      placementStrategy,
      networkConfiguration: {
        awsvpcConfiguration: { ...network, assignPublicIp: assignPublicIp === true ? "ENABLED" : "DISABLED" },
      },
      enableECSManagedTags,
      tags: ecsTags(tags),
    };
    const made = await client.createService(input as ecs.CreateServiceCommandInput);
    return { id: required(made.service?.serviceArn), state: { name } };
  },
  "aws:appautoscaling/target:Target": async ({ scaling: client }, { tags, ...inputs }) => {
    const input = { ...(awsNames(inputs) as scaling.RegisterScalableTargetCommandInput), Tags: stringTags(tags) };
    await client.registerScalableTarget(input);
    return { id: inputs.resourceId as string, state: {} };
  },
  "aws:appautoscaling/policy:Policy": async ({ scaling: client }, inputs, PolicyName) => {
    const input = { ...(awsNames(inputs) as scaling.PutScalingPolicyCommandInput), PolicyName };
    await client.putScalingPolicy(input);
    return { id: PolicyName, state: {} };
  },
  "aws:appautoscaling/scheduledAction:ScheduledAction": async ({ scaling: client }, inputs, ScheduledActionName) => {
    const input = { ...(awsNames(inputs) as scaling.PutScheduledActionCommandInput), ScheduledActionName };
    await client.putScheduledAction(input);
    return { id: ScheduledActionName, state: {} };
  },
  "aws:cloudwatch/metricAlarm:MetricAlarm": async (
    { cloudWatch: client },
    { tags, dimensions, ...inputs },
    AlarmName,
  ) => {
    const Dimensions = Object.entries(dimensions as Record<string, string>).map(([Name, Value]) => ({ Name, Value }));
    const { OkActions, ...alarm } = awsNames(inputs) as cloudWatch.PutMetricAlarmCommandInput & {
      OkActions?: string[];
    };
    const input = { ...alarm, AlarmName, Dimensions, OKActions: OkActions, Tags: tagList(tags) };
    await client.putMetricAlarm(input);
    return { id: AlarmName, state: { name: AlarmName } };
  },
  "aws:cloudwatch/dashboard:Dashboard": async ({ cloudWatch: client }, { dashboardName, dashboardBody }) => {
    const input = { DashboardName: dashboardName as string, DashboardBody: dashboardBody as string };
    await client.putDashboard(input);
    return { id: dashboardName as string, state: {} };
  },
  "aws:sns/topic:Topic": async ({ sns: client }, { tags }, Name) => {
    const { TopicArn } = await client.createTopic({ Name, Tags: tagList(tags) });
    return { id: required(TopicArn), state: { arn: TopicArn } };
  },
  "aws:sns/topicSubscription:TopicSubscription": async ({ sns: client }, { topic, protocol, endpoint }) => {
    const input = { TopicArn: topic as string, Protocol: protocol as string, Endpoint: endpoint as string };
    const { SubscriptionArn } = await client.subscribe(input);
    return { id: required(SubscriptionArn), state: {} };
  },
};
