/** Makes the resources that the program registers, by the calls that AWS's provider makes for them. */
import * as acm from "@aws-sdk/client-acm";
import * as autoScaling from "@aws-sdk/client-auto-scaling";
import * as cloudWatch from "@aws-sdk/client-cloudwatch";
import * as logs from "@aws-sdk/client-cloudwatch-logs";
import * as ec2 from "@aws-sdk/client-ec2";
import * as scaling from "@aws-sdk/client-application-auto-scaling";
import * as ecs from "@aws-sdk/client-ecs";
import * as ecr from "@aws-sdk/client-ecr";
import * as elb from "@aws-sdk/client-elastic-load-balancing-v2";
import * as iam from "@aws-sdk/client-iam";
import * as route53 from "@aws-sdk/client-route-53";
import * as secrets from "@aws-sdk/client-secrets-manager";
import * as sns from "@aws-sdk/client-sns";

type Inputs = Record<string, unknown>;
interface Made {
  id: string;
  state: object;
}

export function clientsFor(endpoint: string, region: string) {
  const options = { endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } };
  return {
    acm: new acm.ACMClient(options),
    autoScaling: new autoScaling.AutoScalingClient(options),
    cloudWatch: new cloudWatch.CloudWatchClient(options),
    logs: new logs.CloudWatchLogsClient(options),
    ec2: new ec2.EC2Client(options),
    ecr: new ecr.ECRClient(options),
    ecs: new ecs.ECSClient(options),
    scaling: new scaling.ApplicationAutoScalingClient(options),
    elb: new elb.ElasticLoadBalancingV2Client(options),
    iam: new iam.IAMClient(options),
    route53: new route53.Route53Client(options),
    secrets: new secrets.SecretsManagerClient(options),
    sns: new sns.SNSClient(options),
  };
}
export type Clients = ReturnType<typeof clientsFor>;

/** Pulumi's property names are AWS's with a small first letter, for nearly all of what is used. */
function awsNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((inner) => awsNames(inner));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [
    key.charAt(0).toUpperCase() + key.slice(1),
    awsNames(inner),
  ]);
  return Object.fromEntries(entries);
}

function tagList(tags: unknown): { Key: string; Value: string }[] {
  return Object.entries(tags as Record<string, string>).map(([Key, Value]) => ({ Key, Value }));
}

function ecsTags(tags: unknown): { key: string; value: string }[] {
  return Object.entries(tags as Record<string, string>).map(([key, value]) => ({ key, value }));
}

function stringTags(tags: unknown): Record<string, string> {
  return tags as Record<string, string>;
}

/** Everything but the tags, under AWS's names, and the tags as EC2 has them. */
function ec2Input({ tags, ...inputs }: Inputs, ResourceType: ec2.ResourceType): unknown {
  const TagSpecifications = [{ ResourceType, Tags: tagList(tags) }];
  return { ...(awsNames(inputs) as object), TagSpecifications };
}

/** A value that AWS's answer must have. */
function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the answer lacks what was asked for");
  return value;
}

/** @returns undefined for what is not AWS's */
export async function replay(clients: Clients, type: string, name: string, inputs: Inputs): Promise<Made | undefined> {
  const made = makers[type];
  if (made === undefined) {
    if (type.startsWith("aws:")) throw new Error(`no call is known for ${type}`);
    return undefined;
  }
  try {
    return await made(clients, inputs, `${name}-1234567`);
  } catch (error) {
    throw new Error(`${type} ${name}: ${(error as Error).message}`, { cause: error });
  }
}

type Maker = (clients: Clients, inputs: Inputs, autoName: string) => Promise<Made>;

const makers: Record<string, Maker> = {
  "aws:ec2/vpc:Vpc": async ({ ec2: client }, { enableDnsSupport, enableDnsHostnames, ...inputs }) => {
    const { Vpc } = await client.send(new ec2.CreateVpcCommand(ec2Input(inputs, "vpc") as ec2.CreateVpcCommandInput));
    const VpcId = required(Vpc?.VpcId);
    const on = (Value: unknown) => ({ Value: Value as boolean });
    await client.send(new ec2.ModifyVpcAttributeCommand({ VpcId, EnableDnsSupport: on(enableDnsSupport) }));
    await client.send(new ec2.ModifyVpcAttributeCommand({ VpcId, EnableDnsHostnames: on(enableDnsHostnames) }));
    return { id: VpcId, state: {} };
  },
  "aws:ec2/subnet:Subnet": async ({ ec2: client }, inputs) => {
    const { Subnet } = await client.send(
      new ec2.CreateSubnetCommand(ec2Input(inputs, "subnet") as ec2.CreateSubnetCommandInput),
    );
    return { id: required(Subnet?.SubnetId), state: {} };
  },
  "aws:ec2/internetGateway:InternetGateway": async ({ ec2: client }, { vpcId, ...inputs }) => {
    const made = await client.send(
      new ec2.CreateInternetGatewayCommand(
        ec2Input(inputs, "internet-gateway") as ec2.CreateInternetGatewayCommandInput,
      ),
    );
    const InternetGatewayId = required(made.InternetGateway?.InternetGatewayId);
    await client.send(new ec2.AttachInternetGatewayCommand({ InternetGatewayId, VpcId: vpcId as string }));
    return { id: InternetGatewayId, state: {} };
  },
  "aws:ec2/routeTable:RouteTable": async ({ ec2: client }, inputs) => {
    const { RouteTable } = await client.send(
      new ec2.CreateRouteTableCommand(ec2Input(inputs, "route-table") as ec2.CreateRouteTableCommandInput),
    );
    return { id: required(RouteTable?.RouteTableId), state: {} };
  },
  "aws:ec2/routeTableAssociation:RouteTableAssociation": async ({ ec2: client }, inputs) => {
    const made = await client.send(
      new ec2.AssociateRouteTableCommand(awsNames(inputs) as ec2.AssociateRouteTableCommandInput),
    );
    return { id: required(made.AssociationId), state: {} };
  },
  "aws:ec2/route:Route": async ({ ec2: client }, inputs) => {
    await client.send(new ec2.CreateRouteCommand(awsNames(inputs) as ec2.CreateRouteCommandInput));
    return { id: `route-${String(inputs.routeTableId)}`, state: {} };
  },
  "aws:ec2/eip:Eip": async ({ ec2: client }, inputs) => {
    const made = await client.send(
      new ec2.AllocateAddressCommand(ec2Input(inputs, "elastic-ip") as ec2.AllocateAddressCommandInput),
    );
    return { id: required(made.AllocationId), state: {} };
  },
  "aws:ec2/natGateway:NatGateway": async ({ ec2: client }, inputs) => {
    const made = await client.send(
      new ec2.CreateNatGatewayCommand(ec2Input(inputs, "natgateway") as ec2.CreateNatGatewayCommandInput),
    );
    return { id: required(made.NatGateway?.NatGatewayId), state: {} };
  },
  "aws:ec2/vpcEndpoint:VpcEndpoint": async ({ ec2: client }, inputs) => {
    const made = await client.send(
      new ec2.CreateVpcEndpointCommand({
        ...(ec2Input(inputs, "vpc-endpoint") as ec2.CreateVpcEndpointCommandInput),
        PolicyDocument: inputs.policy as string,
      }),
    );
    const { PrefixLists = [] } = await client.send(new ec2.DescribeManagedPrefixListsCommand({}));
    const s3 = PrefixLists.find(({ PrefixListName }) => PrefixListName?.endsWith(".s3"));
    return { id: required(made.VpcEndpoint?.VpcEndpointId), state: { prefixListId: required(s3?.PrefixListId) } };
  },
  "aws:ec2/securityGroup:SecurityGroup": async ({ ec2: client }, inputs, GroupName) => {
    const input = { ...(ec2Input(inputs, "security-group") as ec2.CreateSecurityGroupCommandInput), GroupName };
    const GroupId = required((await client.send(new ec2.CreateSecurityGroupCommand(input))).GroupId);
    // As the provider does: a group has no rules but its own.
    const everything = { IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] };
    await client.send(new ec2.RevokeSecurityGroupEgressCommand({ GroupId, IpPermissions: [everything] }));
    return { id: GroupId, state: {} };
  },
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": async ({ ec2: client }, inputs) => {
    const made = await client.send(new ec2.AuthorizeSecurityGroupIngressCommand(permission(inputs)));
    return { id: required(made.SecurityGroupRules?.[0]?.SecurityGroupRuleId), state: {} };
  },
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": async ({ ec2: client }, inputs) => {
    const made = await client.send(new ec2.AuthorizeSecurityGroupEgressCommand(permission(inputs)));
    return { id: required(made.SecurityGroupRules?.[0]?.SecurityGroupRuleId), state: {} };
  },
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
    const made = await client.send(
      new ec2.CreateLaunchTemplateCommand({ LaunchTemplateName, LaunchTemplateData, TagSpecifications }),
    );
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
    const { Role } = await client.send(new iam.CreateRoleCommand(input));
    return { id: RoleName, state: { name: RoleName, arn: required(Role?.Arn) } };
  },
  "aws:iam/rolePolicy:RolePolicy": async ({ iam: client }, { role, policy }, PolicyName) => {
    const input = { RoleName: role as string, PolicyName, PolicyDocument: policy as string };
    await client.send(new iam.PutRolePolicyCommand(input));
    return { id: PolicyName, state: {} };
  },
  "aws:iam/instanceProfile:InstanceProfile": async ({ iam: client }, { role, tags }, InstanceProfileName) => {
    const input = { InstanceProfileName, Tags: tagList(tags) };
    const { InstanceProfile } = await client.send(new iam.CreateInstanceProfileCommand(input));
    await client.send(new iam.AddRoleToInstanceProfileCommand({ InstanceProfileName, RoleName: role as string }));
    return { id: InstanceProfileName, state: { arn: required(InstanceProfile?.Arn) } };
  },
  "aws:ecr/repository:Repository": async ({ ecr: client }, inputs) => {
    const [encryption] = inputs.encryptionConfigurations as { encryptionType: ecr.EncryptionType }[];
    const { repository } = await client.send(
      new ecr.CreateRepositoryCommand({
        repositoryName: inputs.name as string,
        imageTagMutability: inputs.imageTagMutability as ecr.ImageTagMutability,
        imageScanningConfiguration: inputs.imageScanningConfiguration as ecr.ImageScanningConfiguration,
        encryptionConfiguration: required(encryption),
        tags: tagList(inputs.tags),
      }),
    );
    const { registryId, repositoryUri, repositoryArn, repositoryName } = required(repository);
    return {
      id: required(repositoryName),
      state: { registryId, repositoryUrl: repositoryUri, arn: repositoryArn, name: repositoryName },
    };
  },
  "aws:ecr/lifecyclePolicy:LifecyclePolicy": async ({ ecr: client }, { repository, policy }) => {
    const input = { repositoryName: repository as string, lifecyclePolicyText: policy as string };
    await client.send(new ecr.PutLifecyclePolicyCommand(input));
    return { id: repository as string, state: {} };
  },
  "aws:secretsmanager/secret:Secret": async ({ secrets: client }, { description, tags }, Name) => {
    const input = { Name, Description: description as string, Tags: tagList(tags) };
    const { ARN } = await client.send(new secrets.CreateSecretCommand(input));
    return { id: required(ARN), state: { arn: ARN } };
  },
  "aws:secretsmanager/secretVersion:SecretVersion": async ({ secrets: client }, { secretId, secretString }) => {
    const input = { SecretId: secretId as string, SecretString: secretString as string };
    const { VersionId, ARN } = await client.send(new secrets.PutSecretValueCommand(input));
    return { id: required(VersionId), state: { versionId: VersionId, secretArn: required(ARN) } };
  },
  "aws:cloudwatch/logGroup:LogGroup": async ({ logs: client }, { name, retentionInDays, tags }) => {
    const logGroupName = name as string;
    await client.send(new logs.CreateLogGroupCommand({ logGroupName, tags: tags as Record<string, string> }));
    await client.send(new logs.PutRetentionPolicyCommand({ logGroupName, retentionInDays: retentionInDays as number }));
    const found = await client.send(new logs.DescribeLogGroupsCommand({ logGroupNamePrefix: logGroupName }));
    return { id: logGroupName, state: { arn: required(found.logGroups?.[0]?.arn).replace(/:\*$/, "") } };
  },
  "aws:lb/loadBalancer:LoadBalancer": async ({ elb: client }, inputs, Name) => {
    const made = await client.send(
      new elb.CreateLoadBalancerCommand({
        Name,
        Type: inputs.loadBalancerType as elb.LoadBalancerTypeEnum,
        Scheme: inputs.internal === true ? "internal" : "internet-facing",
        Subnets: inputs.subnets as string[],
        SecurityGroups: inputs.securityGroups as string[],
        Tags: tagList(inputs.tags),
      }),
    );
    const balancer = required(made.LoadBalancers?.[0]);
    const LoadBalancerArn = required(balancer.LoadBalancerArn);
    const Attributes = [
      { Key: "idle_timeout.timeout_seconds", Value: String(inputs.idleTimeout) },
      { Key: "routing.http.drop_invalid_header_fields.enabled", Value: String(inputs.dropInvalidHeaderFields) },
      { Key: "deletion_protection.enabled", Value: String(inputs.enableDeletionProtection) },
    ];
    await client.send(new elb.ModifyLoadBalancerAttributesCommand({ LoadBalancerArn, Attributes }));
    return {
      id: LoadBalancerArn,
      state: {
        arn: LoadBalancerArn,
        arnSuffix: LoadBalancerArn.replace(/^.*:loadbalancer\//, ""),
        dnsName: balancer.DNSName,
        zoneId: balancer.CanonicalHostedZoneId,
      },
    };
  },
  "aws:lb/targetGroup:TargetGroup": async ({ elb: client }, inputs, Name) => {
    const check = inputs.healthCheck as Record<
      "interval" | "timeout" | "healthyThreshold" | "unhealthyThreshold",
      number
    > &
      Record<"path" | "port" | "matcher", string>;
    const made = await client.send(
      new elb.CreateTargetGroupCommand({
        Name,
        VpcId: inputs.vpcId as string,
        Port: inputs.port as number,
        Protocol: inputs.protocol as elb.ProtocolEnum,
        TargetType: inputs.targetType as elb.TargetTypeEnum,
        HealthCheckPath: check.path,
        HealthCheckPort: check.port,
        HealthCheckIntervalSeconds: check.interval,
        HealthCheckTimeoutSeconds: check.timeout,
        HealthyThresholdCount: check.healthyThreshold,
        UnhealthyThresholdCount: check.unhealthyThreshold,
        Matcher: { HttpCode: check.matcher },
        Tags: tagList(inputs.tags),
      }),
    );
    const TargetGroupArn = required(made.TargetGroups?.[0]?.TargetGroupArn);
    const Attributes = [
      { Key: "deregistration_delay.timeout_seconds", Value: String(inputs.deregistrationDelay) },
      { Key: "load_balancing.algorithm.type", Value: String(inputs.loadBalancingAlgorithmType) },
    ];
    await client.send(new elb.ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
    return { id: TargetGroupArn, state: { arn: TargetGroupArn, arnSuffix: TargetGroupArn.replace(/^.*:/, "") } };
  },
  "aws:lb/listener:Listener": async ({ elb: client }, { tags, certificateArn, defaultActions, ...inputs }) => {
    const made = await client.send(
      new elb.CreateListenerCommand({
        ...(awsNames(inputs) as elb.CreateListenerCommandInput),
        DefaultActions: actions(defaultActions),
        ...(certificateArn === undefined ? {} : { Certificates: [{ CertificateArn: certificateArn as string }] }),
        Tags: tagList(tags),
      }),
    );
    const arn = required(made.Listeners?.[0]?.ListenerArn);
    return { id: arn, state: { arn } };
  },
  "aws:acm/certificate:Certificate": async ({ acm: client }, { domainName, validationMethod, tags }) => {
    const { CertificateArn } = await client.send(
      new acm.RequestCertificateCommand({
        DomainName: domainName as string,
        ValidationMethod: validationMethod as acm.ValidationMethod,
        Tags: tagList(tags),
      }),
    );
    const { Certificate } = await client.send(new acm.DescribeCertificateCommand({ CertificateArn }));
    const record = required(Certificate?.DomainValidationOptions?.[0]?.ResourceRecord);
    const domainValidationOptions = [
      { resourceRecordName: record.Name, resourceRecordType: record.Type, resourceRecordValue: record.Value },
    ];
    return { id: required(CertificateArn), state: { arn: CertificateArn, domainValidationOptions } };
  },
  "aws:acm/certificateValidation:CertificateValidation": ({}, { certificateArn }) =>
    Promise.resolve({ id: certificateArn as string, state: {} }),
  "aws:route53/record:Record": async ({ route53: client }, inputs) => {
    const [alias] = (inputs.aliases ?? []) as { name: string; zoneId: string; evaluateTargetHealth: boolean }[];
    const records = (inputs.records ?? []) as string[];
    const ResourceRecordSet = {
      Name: inputs.name as string,
      Type: inputs.type as route53.RRType,
      ...(alias === undefined
        ? { TTL: inputs.ttl as number, ResourceRecords: records.map((Value) => ({ Value })) }
        : {
            AliasTarget: {
              DNSName: alias.name,
              HostedZoneId: alias.zoneId,
              EvaluateTargetHealth: alias.evaluateTargetHealth,
            },
          }),
    };
    const ChangeBatch = { Changes: [{ Action: "UPSERT" as const, ResourceRecordSet }] };
    const HostedZoneId = inputs.zoneId as string;
    await client.send(new route53.ChangeResourceRecordSetsCommand({ HostedZoneId, ChangeBatch }));
    return { id: inputs.name as string, state: { fqdn: inputs.name } };
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
    await client.send(new autoScaling.CreateAutoScalingGroupCommand(input));
    const names = { AutoScalingGroupNames: [AutoScalingGroupName] };
    const { AutoScalingGroups } = await client.send(new autoScaling.DescribeAutoScalingGroupsCommand(names));
    const arn = required(AutoScalingGroups?.[0]?.AutoScalingGroupARN);
    return { id: AutoScalingGroupName, state: { name: AutoScalingGroupName, arn } };
  },
  "aws:ecs/cluster:Cluster": async ({ ecs: client }, { name, tags }) => {
    const input = { clusterName: name as string, tags: ecsTags(tags) };
    const { cluster } = await client.send(new ecs.CreateClusterCommand(input));
    return { id: required(cluster?.clusterArn), state: { arn: cluster?.clusterArn, name } };
  },
  "aws:ecs/capacityProvider:CapacityProvider": async ({ ecs: client }, { autoScalingGroupProvider, tags }, name) => {
    const provider = autoScalingGroupProvider as ecs.AutoScalingGroupProvider;
    const input = { name, autoScalingGroupProvider: provider, tags: ecsTags(tags) };
    const { capacityProvider } = await client.send(new ecs.CreateCapacityProviderCommand(input));
    return { id: required(capacityProvider?.capacityProviderArn), state: { name } };
  },
  "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": async (
    { ecs: client },
    { clusterName, capacityProviders },
  ) => {
    const input = { cluster: clusterName as string, capacityProviders: capacityProviders as string[] };
    await client.send(new ecs.PutClusterCapacityProvidersCommand({ ...input, defaultCapacityProviderStrategy: [] }));
    return { id: clusterName as string, state: {} };
  },
  "aws:ecs/taskDefinition:TaskDefinition": async ({ ecs: client }, { containerDefinitions, tags, ...inputs }) => {
    const input = {
      ...(inputs as unknown as ecs.RegisterTaskDefinitionCommandInput),
      containerDefinitions: JSON.parse(containerDefinitions as string) as ecs.ContainerDefinition[],
      tags: ecsTags(tags),
    };
    const { taskDefinition } = await client.send(new ecs.RegisterTaskDefinitionCommand(input));
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
    const made = await client.send(new ecs.CreateServiceCommand(input as ecs.CreateServiceCommandInput));
    return { id: required(made.service?.serviceArn), state: { name } };
  },
  "aws:appautoscaling/target:Target": async ({ scaling: client }, { tags, ...inputs }) => {
    const input = { ...(awsNames(inputs) as scaling.RegisterScalableTargetCommandInput), Tags: stringTags(tags) };
    await client.send(new scaling.RegisterScalableTargetCommand(input));
    return { id: inputs.resourceId as string, state: {} };
  },
  "aws:appautoscaling/policy:Policy": async ({ scaling: client }, inputs, PolicyName) => {
    const input = { ...(awsNames(inputs) as scaling.PutScalingPolicyCommandInput), PolicyName };
    await client.send(new scaling.PutScalingPolicyCommand(input));
    return { id: PolicyName, state: {} };
  },
  "aws:appautoscaling/scheduledAction:ScheduledAction": async ({ scaling: client }, inputs, ScheduledActionName) => {
    const input = { ...(awsNames(inputs) as scaling.PutScheduledActionCommandInput), ScheduledActionName };
    await client.send(new scaling.PutScheduledActionCommand(input));
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
    await client.send(new cloudWatch.PutMetricAlarmCommand(input));
    return { id: AlarmName, state: {} };
  },
  "aws:cloudwatch/dashboard:Dashboard": async ({ cloudWatch: client }, { dashboardName, dashboardBody }) => {
    const input = { DashboardName: dashboardName as string, DashboardBody: dashboardBody as string };
    await client.send(new cloudWatch.PutDashboardCommand(input));
    return { id: dashboardName as string, state: {} };
  },
  "aws:sns/topic:Topic": async ({ sns: client }, { tags }, Name) => {
    const { TopicArn } = await client.send(new sns.CreateTopicCommand({ Name, Tags: tagList(tags) }));
    return { id: required(TopicArn), state: { arn: TopicArn } };
  },
  "aws:sns/topicSubscription:TopicSubscription": async ({ sns: client }, { topic, protocol, endpoint }) => {
    const input = { TopicArn: topic as string, Protocol: protocol as string, Endpoint: endpoint as string };
    const { SubscriptionArn } = await client.send(new sns.SubscribeCommand(input));
    return { id: required(SubscriptionArn), state: {} };
  },
};

/** A rule of its own, as AuthorizeSecurityGroupIngress and -Egress take it. */
function permission(inputs: Inputs) {
  const { description, cidrIpv4, cidrIpv6, referencedSecurityGroupId, prefixListId } = inputs;
  const Description = description as string;
  return {
    GroupId: inputs.securityGroupId as string,
    IpPermissions: [
      {
        IpProtocol: inputs.ipProtocol as string,
        FromPort: inputs.fromPort as number,
        ToPort: inputs.toPort as number,
        ...(cidrIpv4 === undefined ? {} : { IpRanges: [{ CidrIp: cidrIpv4 as string, Description }] }),
        ...(cidrIpv6 === undefined ? {} : { Ipv6Ranges: [{ CidrIpv6: cidrIpv6 as string, Description }] }),
        ...(prefixListId === undefined
          ? {}
          : { PrefixListIds: [{ PrefixListId: prefixListId as string, Description }] }),
        ...(referencedSecurityGroupId === undefined
          ? {}
          : { UserIdGroupPairs: [{ GroupId: referencedSecurityGroupId as string, Description }] }),
      },
    ],
  };
}

function actions(list: unknown): elb.Action[] {
  return (list as Inputs[]).map(({ redirect, fixedResponse, ...action }) => ({
    ...(awsNames(action) as elb.Action),
    ...(redirect === undefined ? {} : { RedirectConfig: awsNames(redirect) as elb.RedirectActionConfig }),
    ...(fixedResponse === undefined
      ? {}
      : { FixedResponseConfig: awsNames(fixedResponse) as elb.FixedResponseActionConfig }),
  }));
}
