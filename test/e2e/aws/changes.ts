/** Changes and deletes what replay.ts makes, by the calls that AWS's provider makes for it. */
import type { Clients, Inputs } from "./clients.ts";
import { awsNames } from "./clients.ts";
import { replay } from "./replay.ts";

/** @returns what the change changes besides the inputs */
export async function change(
  clients: Clients,
  type: string,
  name: string,
  id: string,
  inputs: Inputs,
): Promise<object> {
  switch (type) {
    case "aws:ecs/service:Service": {
      const { cluster, name: service, taskDefinition, capacityProviderStrategies: capacityProviderStrategy } = inputs;
      const input = { cluster, service, taskDefinition, capacityProviderStrategy, forceNewDeployment: true };
      await clients.ecs.updateService(input as Parameters<typeof clients.ecs.updateService>[0]);
      return {};
    }
    case "aws:autoscaling/group:Group":
      await clients.autoScaling.updateAutoScalingGroup({
        AutoScalingGroupName: id,
        MaxSize: Number(inputs.maxSize),
        MixedInstancesPolicy: awsNames(inputs.mixedInstancesPolicy) as object,
      });
      return {};
    // The call that makes them changes them.
    case "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders":
    case "aws:appautoscaling/target:Target":
      return { ...(await replay(clients, type, name, inputs)).state };
    default:
      throw new Error(`no call is known that changes ${type} ${name}`);
  }
}

export async function remove(clients: Clients, type: string, id: string, state: Inputs): Promise<void> {
  const call = removals[type];
  if (call === undefined) throw new Error(`no call is known that deletes ${type}`);
  await call(clients, id, state as Record<string, string>);
}

type Removal = (clients: Clients, id: string, state: Record<string, string>) => Promise<unknown> | undefined;

const removals: Readonly<Record<string, Removal>> = {
  "aws:ec2/vpc:Vpc": ({ ec2 }, VpcId) => ec2.deleteVpc({ VpcId }),
  "aws:ec2/subnet:Subnet": ({ ec2 }, SubnetId) => ec2.deleteSubnet({ SubnetId }),
  "aws:ec2/internetGateway:InternetGateway": async ({ ec2 }, InternetGatewayId, { vpcId: VpcId }) => {
    await ec2.detachInternetGateway({ InternetGatewayId, VpcId });
    await ec2.deleteInternetGateway({ InternetGatewayId });
  },
  "aws:ec2/routeTable:RouteTable": ({ ec2 }, RouteTableId) => ec2.deleteRouteTable({ RouteTableId }),
  "aws:ec2/routeTableAssociation:RouteTableAssociation": ({ ec2 }, AssociationId) =>
    ec2.disassociateRouteTable({ AssociationId }),
  "aws:ec2/route:Route": ({ ec2 }, _, { routeTableId: RouteTableId, destinationCidrBlock: DestinationCidrBlock }) =>
    ec2.deleteRoute({ RouteTableId, DestinationCidrBlock }),
  "aws:ec2/eip:Eip": ({ ec2 }, AllocationId) => ec2.releaseAddress({ AllocationId }),
  "aws:ec2/natGateway:NatGateway": ({ ec2 }, NatGatewayId) => ec2.deleteNatGateway({ NatGatewayId }),
  "aws:ec2/vpcEndpoint:VpcEndpoint": ({ ec2 }, id) => ec2.deleteVpcEndpoints({ VpcEndpointIds: [id] }),
  "aws:ec2/securityGroup:SecurityGroup": ({ ec2 }, GroupId) => ec2.deleteSecurityGroup({ GroupId }),
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ({ ec2 }, id, { securityGroupId: GroupId }) =>
    ec2.revokeSecurityGroupIngress({ GroupId, SecurityGroupRuleIds: [id] }),
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ({ ec2 }, id, { securityGroupId: GroupId }) =>
    ec2.revokeSecurityGroupEgress({ GroupId, SecurityGroupRuleIds: [id] }),
  "aws:ec2/launchTemplate:LaunchTemplate": ({ ec2 }, LaunchTemplateId) =>
    ec2.deleteLaunchTemplate({ LaunchTemplateId }),
  "aws:iam/role:Role": ({ iam }, RoleName) => iam.deleteRole({ RoleName }),
  "aws:iam/rolePolicy:RolePolicy": ({ iam }, PolicyName, { role: RoleName }) =>
    iam.deleteRolePolicy({ RoleName, PolicyName }),
  "aws:iam/instanceProfile:InstanceProfile": async ({ iam }, InstanceProfileName, { role: RoleName }) => {
    await iam.removeRoleFromInstanceProfile({ InstanceProfileName, RoleName });
    await iam.deleteInstanceProfile({ InstanceProfileName });
  },
  "aws:ecr/repository:Repository": ({ ecr }, repositoryName) => ecr.deleteRepository({ repositoryName, force: true }),
  "aws:ecr/lifecyclePolicy:LifecyclePolicy": ({ ecr }, repositoryName) => ecr.deleteLifecyclePolicy({ repositoryName }),
  "aws:secretsmanager/secret:Secret": ({ secrets }, SecretId) =>
    secrets.deleteSecret({ SecretId, ForceDeleteWithoutRecovery: true }),
  // The current version goes with the secret, and an earlier one by itself.
  "aws:secretsmanager/secretVersion:SecretVersion": () => undefined,
  "aws:cloudwatch/logGroup:LogGroup": ({ logs }, logGroupName) => logs.deleteLogGroup({ logGroupName }),
  "aws:cloudwatch/metricAlarm:MetricAlarm": ({ cloudWatch }, id) => cloudWatch.deleteAlarms({ AlarmNames: [id] }),
  "aws:cloudwatch/dashboard:Dashboard": ({ cloudWatch }, id) => cloudWatch.deleteDashboards({ DashboardNames: [id] }),
  "aws:lb/loadBalancer:LoadBalancer": ({ elb }, LoadBalancerArn) => elb.deleteLoadBalancer({ LoadBalancerArn }),
  "aws:lb/targetGroup:TargetGroup": ({ elb }, TargetGroupArn) => elb.deleteTargetGroup({ TargetGroupArn }),
  "aws:lb/listener:Listener": ({ elb }, ListenerArn) => elb.deleteListener({ ListenerArn }),
  "aws:autoscaling/group:Group": ({ autoScaling }, AutoScalingGroupName) =>
    autoScaling.deleteAutoScalingGroup({ AutoScalingGroupName, ForceDelete: true }),
  "aws:ecs/cluster:Cluster": ({ ecs }, cluster) => ecs.deleteCluster({ cluster }),
  "aws:ecs/capacityProvider:CapacityProvider": ({ ecs }, capacityProvider) =>
    ecs.deleteCapacityProvider({ capacityProvider }),
  "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders": ({ ecs }, cluster) =>
    ecs.putClusterCapacityProviders({ cluster, capacityProviders: [], defaultCapacityProviderStrategy: [] }),
  "aws:ecs/taskDefinition:TaskDefinition": ({ ecs }, _, { arn: taskDefinition }) =>
    ecs.deregisterTaskDefinition({ taskDefinition }),
  "aws:ecs/service:Service": ({ ecs }, service, { cluster }) => ecs.deleteService({ cluster, service, force: true }),
  "aws:appautoscaling/target:Target": ({ scaling }, ResourceId) =>
    scaling.deregisterScalableTarget({ ...scalable, ResourceId }),
  "aws:appautoscaling/policy:Policy": ({ scaling }, PolicyName, { resourceId: ResourceId }) =>
    scaling.deleteScalingPolicy({ ...scalable, PolicyName, ResourceId }),
};

const scalable = { ServiceNamespace: "ecs", ScalableDimension: "ecs:service:DesiredCount" } as const;
