import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { EcrRegistry } from "./registry.ts";
import type { ServerOptions } from "../serving/server.ts";
import type { AwsSettings } from "../settings/aws.ts";
import type { Account } from "./account.ts";
import { ApiKeys } from "./apiKeys.ts";
import { volumeGb } from "./instances.ts";
import { InstanceTemplate } from "./instanceTemplate.ts";
import { LoadBalancer } from "./loadBalancer.ts";
import { Monitoring } from "./monitoring.ts";
import { metricNamespace } from "./monitoringBodies.ts";
import { stackName } from "./names.ts";
import type { Network } from "./network.ts";
import { OwnNetwork } from "./network.ts";
import { ScalingGroup } from "./scalingGroup.ts";
import { hookName, userData } from "./userData.ts";

/** The settings that are about the fleet; components/settings/aws.ts describes each. */
type FleetSettings = Pick<
  AwsSettings,
  | "minReplicas"
  | "maxReplicas"
  | "spot"
  | "updateAmi"
  | "apiKeys"
  | "zones"
  | "vpcCidr"
  | "egress"
  | "vpcId"
  | "publicSubnetIds"
  | "privateSubnetIds"
  | "allowedCidrs"
  | "domain"
  | "certificateArn"
  | "deletionProtection"
  | "alarmEmail"
  | "logRetentionDays"
>;

export interface Ec2FleetArgs extends FleetSettings {
  account: Account;
  registry: EcrRegistry;
  /** The server's and HAProxy's image, by digest. */
  serverImage: pulumi.Output<string>;
  balancerImage: pulumi.Output<string>;
  server: ServerOptions;
  /** The model file's size, in bytes: it decides about the instances' disks. */
  modelBytes: number;
  /** On everything that AWS puts tags on. */
  tags: Record<string, string>;
}

/** Instances with a server and HAProxy each, as many as the load asks for, behind a load balancer. */
export class Ec2Fleet extends pulumi.ComponentResource {
  /** Where the service is, without a path. */
  readonly address: pulumi.Output<string>;
  /** A secret: the first API key. */
  readonly apiKey: pulumi.Output<string>;
  readonly dashboardUrl: pulumi.Output<string>;
  readonly groupName: pulumi.Output<string>;
  readonly loadBalancerId: pulumi.Output<string>;
  /** The number of the launch template's version that the instances are started from. */
  readonly version: pulumi.Output<string>;
  /** What has to be waited for before the fleet is what the update says. */
  readonly rollout: pulumi.Resource;

  constructor(name: string, args: Ec2FleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:Ec2Fleet", name, {}, opts);

    const network = this.chooseNetwork(name, args);
    const balancer = this.createLoadBalancer(name, args, network);
    const keys = new ApiKeys(
      `${name}-keys`,
      { keys: args.apiKeys.map(({ key }) => key), tags: args.tags },
      { parent: this },
    );
    const logGroup = this.createLogGroup(name, args);
    const template = this.createTemplate(name, args, { network, balancer, keys, logGroup });
    const group = this.createGroup(name, args, { network, balancer, keys, logGroup, template });
    const monitoring = this.createMonitoring(name, args, { balancer, group, logGroup });

    this.address = balancer.address;
    this.apiKey = keys.first;
    this.dashboardUrl = monitoring.dashboardUrl;
    this.groupName = group.groupName;
    this.loadBalancerId = balancer.loadBalancerId;
    this.version = template.version;
    this.rollout = group.rollout;
    this.registerOutputs({ address: this.address, groupName: this.groupName });
  }

  private chooseNetwork(name: string, args: Ec2FleetArgs): Network {
    const { vpcId, publicSubnetIds, privateSubnetIds, vpcCidr, egress, account, tags } = args;
    if (vpcId !== undefined) {
      const destinations = [{ description: "AWS services, by the way that the VPC has", cidrIpv4: "0.0.0.0/0" }];
      return { vpcId, publicSubnetIds, privateSubnetIds, destinations };
    }
    const zones = account.zones.slice(0, args.zones);
    const own = { cidr: vpcCidr, zones, egress, region: account.region, tags };
    return new OwnNetwork(`${name}-network`, own, { parent: this });
  }

  private createLoadBalancer(name: string, args: Ec2FleetArgs, network: Network): LoadBalancer {
    const { allowedCidrs, domain, certificateArn, deletionProtection, account, tags } = args;
    const https = domain === undefined ? undefined : { domain, certificateArn, hostedZoneId: account.hostedZoneId };
    return new LoadBalancer(name, { network, allowedCidrs, https, deletionProtection, tags }, { parent: this });
  }

  private createLogGroup(name: string, { logRetentionDays, tags }: Ec2FleetArgs): aws.cloudwatch.LogGroup {
    return new aws.cloudwatch.LogGroup(
      name,
      { name: stackName(pulumi.getStack(), 512), retentionInDays: logRetentionDays, tags },
      { parent: this },
    );
  }

  private createTemplate(
    name: string,
    args: Ec2FleetArgs,
    parts: Pick<Parts, "network" | "balancer" | "keys" | "logGroup">,
  ) {
    const { account, registry, serverImage, balancerImage, server, modelBytes, updateAmi, tags } = args;
    const { network, balancer, keys, logGroup } = parts;
    const group = groupName();
    const description = pulumi.output({
      region: account.region,
      registry: registry.host,
      serverImage,
      balancerImage,
      server,
      apiKeys: keys.count,
      secretArn: keys.secretArn,
      secretVersion: keys.version,
      group,
      hook: hookName,
      logGroup: logGroup.name,
      metricNamespace,
    });
    return new InstanceTemplate(
      `${name}-instance`,
      {
        network,
        instanceType: account.instance.type,
        architecture: account.instance.architecture,
        volumeGb: volumeGb(modelBytes),
        updateAmi,
        loadBalancerSecurityGroupId: balancer.securityGroupId,
        userData: description.apply(userData),
        rights: {
          repositoryArn: registry.repositoryArn,
          logGroupArn: logGroup.arn,
          secretArn: keys.secretArn,
          partition: account.partition,
          region: account.region,
          account: account.id,
          group,
        },
        tags,
        instanceName: group,
      },
      { parent: this },
    );
  }

  private createGroup(
    name: string,
    args: Ec2FleetArgs,
    { network, balancer, keys, logGroup, template }: Parts,
  ): ScalingGroup {
    const { account, minReplicas, maxReplicas, spot, tags } = args;
    return new ScalingGroup(
      name,
      {
        groupName: groupName(),
        hookName,
        region: account.region,
        accountId: account.id,
        minReplicas,
        maxReplicas,
        spot,
        instanceTypes: account.instanceTypes,
        templateId: template.templateId,
        templateVersion: template.version,
        subnetIds: network.privateSubnetIds,
        targetGroupArn: balancer.targetGroupArn,
        tags,
        dependsOn: [balancer, keys, logGroup, template, ...(network instanceof OwnNetwork ? [network] : [])],
      },
      { parent: this },
    );
  }

  private createMonitoring(
    name: string,
    { account, alarmEmail, tags }: Ec2FleetArgs,
    { balancer, group, logGroup }: Pick<Parts, "balancer" | "logGroup"> & { group: ScalingGroup },
  ): Monitoring {
    return new Monitoring(
      name,
      {
        watched: {
          region: account.region,
          group: group.groupName,
          loadBalancer: balancer.metricName,
          targetGroup: balancer.targetGroupMetricName,
          logGroup: logGroup.name,
        },
        dashboardName: stackName(pulumi.getStack(), 255),
        alarmEmail,
        tags,
      },
      { parent: this },
    );
  }
}

/** What later steps need of earlier ones. */
interface Parts {
  network: Network;
  balancer: LoadBalancer;
  keys: ApiKeys;
  logGroup: aws.cloudwatch.LogGroup;
  template: InstanceTemplate;
}

/** Known before the group is made, because its instances' user data and rights name it. */
function groupName(): string {
  return stackName(pulumi.getStack(), 255);
}
