import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { PromptFacts } from "../model/promptFacts.ts";
import type { ServerOptions } from "../serving/server.ts";
import type { AwsSettings } from "../settings/aws.ts";
import type { Account } from "./account.ts";
import { ApiKeys } from "./apiKeys.ts";
import { Cluster } from "./cluster/cluster.ts";
import { volumeGb } from "./instances.ts";
import { LoadBalancer } from "./loadBalancer.ts";
import { metricNamespace } from "./metrics.ts";
import { Monitoring } from "./monitoring.ts";
import { stackName } from "./names.ts";
import type { Network } from "./network.ts";
import { OwnNetwork } from "./network.ts";
import type { RoleSettings } from "./policies.ts";
import { mostTasks } from "./service/scaling.ts";
import { EcsService } from "./service/service.ts";
import type { ContainerName } from "./service/taskDefinition.ts";

export interface EcsFleetArgs {
  settings: AwsSettings;
  account: Account;
  /** The repositories of ECR that the images are in. */
  repositoryArns: pulumi.Input<string>[];
  /** By digest. */
  images: Readonly<Record<ContainerName, pulumi.Input<string>>>;
  server: ServerOptions;
  prompt: PromptFacts;
  /** The model file's size in bytes, which determines the size of the instances' disks. */
  modelBytes: number;
  /** Memory that the server may use, in bytes. */
  memoryBytes: number;
  /** For everything that can have tags on AWS. */
  tags: Record<string, string>;
  /** What has to finish before a task runs the images. */
  cleared: pulumi.Resource[];
}

/** Tasks of server, gateway and HAProxy, as many as the load asks for, behind a load balancer. */
export class EcsFleet extends pulumi.ComponentResource {
  /** The service's URL, without a path. */
  readonly address: pulumi.Output<string>;
  /** The first API key. A secret. */
  readonly apiKey: pulumi.Output<string>;
  readonly dashboardUrl: pulumi.Output<string>;
  /** The ECS cluster and the service in it share this name. */
  readonly serviceName: pulumi.Output<string>;
  readonly loadBalancerId: pulumi.Output<string>;
  /** The task definition; known once it runs everywhere. */
  readonly version: pulumi.Output<string>;

  constructor(name: string, args: EcsFleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:EcsFleet", name, {}, opts);

    const network = this.chooseNetwork(name, args);
    const loadBalancer = this.createLoadBalancer(name, args, network);
    const keys = new ApiKeys(`${name}-keys`, { keys: args.settings.apiKeys, tags: args.tags }, { parent: this });
    const logGroup = this.createLogGroup(name, args);
    const monitoring = this.createMonitoring(name, args, loadBalancer, logGroup);
    const cluster = this.createCluster(name, args, network);
    const service = this.createService(name, args, { network, loadBalancer, keys, logGroup, monitoring, cluster });

    this.address = loadBalancer.address;
    this.apiKey = keys.first;
    this.dashboardUrl = monitoring.dashboardUrl;
    this.serviceName = service.serviceName;
    this.loadBalancerId = loadBalancer.loadBalancerId;
    this.version = service.version;
    this.registerOutputs({ address: this.address, serviceName: this.serviceName });
  }

  private chooseNetwork(name: string, { settings, account, tags }: EcsFleetArgs): Network {
    const { vpcId, publicSubnetIds, privateSubnetIds, vpcCidr, egress } = settings;
    if (vpcId !== undefined) {
      const destinations = [{ description: "AWS services, by the way that the VPC has", cidrIpv4: "0.0.0.0/0" }];
      return { vpcId, publicSubnetIds, privateSubnetIds, destinations };
    }
    const { partition, region } = account;
    const zones = account.zones.slice(0, settings.zones);
    return new OwnNetwork(
      `${name}-network`,
      { cidr: vpcCidr, zones, egress, partition, region, tags },
      { parent: this },
    );
  }

  private createLoadBalancer(name: string, { settings, account, tags }: EcsFleetArgs, network: Network): LoadBalancer {
    const { domain, certificateArn } = settings;
    const https = domain === undefined ? undefined : { domain, certificateArn, hostedZoneId: account.hostedZoneId };
    return new LoadBalancer(name, { ...settings, network, https, tags }, { parent: this });
  }

  private createLogGroup(name: string, { settings, tags }: EcsFleetArgs): aws.cloudwatch.LogGroup {
    const logGroup = { name: stackName(pulumi.getStack(), 512), retentionInDays: settings.logRetentionDays, tags };
    return new aws.cloudwatch.LogGroup(name, logGroup, { parent: this });
  }

  private createMonitoring(
    name: string,
    { settings, account, tags }: EcsFleetArgs,
    loadBalancer: LoadBalancer,
    logGroup: aws.cloudwatch.LogGroup,
  ): Monitoring {
    const watched = {
      region: account.region,
      service: serviceName(),
      loadBalancer: loadBalancer.metricName,
      targetGroup: loadBalancer.targetGroupMetricName,
      logGroup: logGroup.name,
    };
    const dashboardName = stackName(pulumi.getStack(), 255);
    return new Monitoring(name, { watched, dashboardName, alarmEmail: settings.alarmEmail, tags }, { parent: this });
  }

  private createCluster(name: string, args: EcsFleetArgs, network: Network): Cluster {
    const { settings, account, modelBytes, tags } = args;
    const { minReplicas, spot, updateAmi, maxInstanceAgeDays } = settings;
    return new Cluster(
      name,
      {
        network,
        architecture: account.instance.architecture,
        instanceType: account.instance.type,
        instanceTypes: account.instanceTypes,
        volumeGb: volumeGb(modelBytes),
        updateAmi,
        maxInstanceAgeDays,
        cluster: serviceName(),
        partition: account.partition,
        region: account.region,
        accountId: account.id,
        roles: roleSettings(settings),
        minReplicas,
        // One more than there are tasks: when ECS starts from none, it starts two instances.
        maxInstances: mostTasks(settings) + 1,
        spot,
        tags,
        dependsOn: network instanceof OwnNetwork ? [network] : [],
      },
      { parent: this },
    );
  }

  private createService(name: string, args: EcsFleetArgs, parts: Parts): EcsService {
    const { settings, account, repositoryArns, tags } = args;
    const { network, loadBalancer, keys, logGroup, monitoring, cluster } = parts;
    const { minReplicas, maxReplicas, scaling } = settings;
    const task = pulumi.output({
      region: account.region,
      images: args.images,
      server: args.server,
      gateway: { prompt: args.prompt, corsOrigins: settings.corsOrigins, allowedHosts: settings.allowedHosts },
      vcpus: account.instance.vcpus,
      memoryBytes: args.memoryBytes,
      secretArn: keys.secretArn,
      secretVersion: keys.version,
      logGroup: logGroup.name,
      metricNamespace,
      service: serviceName(),
      launchTemplate: cluster.launchTemplate,
    });
    return new EcsService(
      `${name}-service`,
      {
        serviceName: serviceName(),
        cluster,
        network,
        task,
        repositoryArns,
        logGroupArn: logGroup.arn,
        loadBalancerSecurityGroupId: loadBalancer.securityGroupId,
        targetGroupArn: loadBalancer.targetGroupArn,
        alarmNames: monitoring.rollbackAlarms,
        minReplicas,
        maxReplicas,
        scaling,
        roles: roleSettings(settings),
        tags,
        dependsOn: [loadBalancer, keys, logGroup, cluster, ...args.cleared],
      },
      { parent: this },
    );
  }
}

/** What the service needs from earlier steps. */
interface Parts {
  network: Network;
  loadBalancer: LoadBalancer;
  keys: ApiKeys;
  logGroup: aws.cloudwatch.LogGroup;
  monitoring: Monitoring;
  cluster: Cluster;
}

/**
 * The name of the cluster, the service and the task family. Known in advance, because alarms and user data contain it.
 */
function serviceName(): string {
  return stackName(pulumi.getStack(), 255);
}

function roleSettings({ permissionsBoundary, rolePath }: AwsSettings): RoleSettings {
  return { permissionsBoundary, path: rolePath };
}
