import * as aws from "@pulumi/aws";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { serviceRoles } from "../account/serviceRoles.ts";
import { LaunchTemplate } from "./launchTemplate.ts";
import type { LaunchTemplateArgs } from "./launchTemplate.ts";

export interface ClusterArgs extends LaunchTemplateArgs {
  minReplicas: number;
  /** Maximum instances of a kind: more than there are tasks at any time. */
  maxInstances: number;
  /** Percentage of the instances above `minReplicas` that are spot. */
  spot: number;
  /** The first is preferred; all run the same code. */
  instanceTypes: readonly string[];
  /** Everything that an instance's first start needs: outbound access, the endpoints. */
  dependsOn: pulumi.Resource[];
}

/** How tasks are spread over a cluster's instances, as a service takes it. */
type Strategy = aws.types.input.ecs.ServiceCapacityProviderStrategy[];

/**
 * An ECS cluster (free) and its EC2 capacity. ECS itself starts an instance for each task that finds none, and removes
 * instances that have had no task for 15 minutes.
 */
export class Cluster extends pulumi.ComponentResource {
  readonly clusterArn: pulumi.Output<string>;
  readonly strategy: pulumi.Output<Strategy>;
  /** The launch template and its version. */
  readonly launchTemplate: pulumi.Output<string>;

  readonly #name: string;
  readonly #args: ClusterArgs;

  constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:Cluster", name, {}, opts);
    this.#name = name;
    this.#args = args;

    const roles = this.createServiceLinkedRoles();
    const cluster = new aws.ecs.Cluster(
      name,
      { name: args.cluster, tags: args.tags },
      { parent: this, dependsOn: [roles] },
    );
    const template = new LaunchTemplate(`${name}-instance`, args, { parent: this });
    // On destroy the instances go before their cluster: AWS does not delete a cluster that has instances.
    const needed = [roles, cluster, ...args.dependsOn];
    const { minReplicas, spot } = args;
    // base: this many tasks are on demand whatever the weights are. Without spot it has no effect, and another
    // minReplicas would be another strategy, which is a rollout.
    const onDemand = {
      provider: this.createCapacity("on-demand", template, needed),
      base: spot === 0 ? 0 : minReplicas,
      weight: 100 - spot,
    };
    const others =
      spot === 0 ? [] : [{ provider: this.createCapacity("spot", template, needed), base: 0, weight: spot }];
    const capacity = [onDemand, ...others];
    const association = new aws.ecs.ClusterCapacityProviders(
      name,
      { clusterName: cluster.name, capacityProviders: capacity.map(({ provider }) => provider.name) },
      { parent: this },
    );

    this.clusterArn = cluster.arn;
    // Known once the cluster has them.
    this.strategy = pulumi
      .all([association.id, ...capacity.map(({ provider }) => provider.name)])
      .apply(([, ...names]) =>
        names.map((capacityProvider, index) => ({
          capacityProvider,
          base: capacity[index]?.base ?? 0,
          weight: capacity[index]?.weight ?? 0,
        })),
      );
    this.launchTemplate = pulumi.interpolate`${template.templateId}:${template.version}`;
    this.registerOutputs({ clusterArn: this.clusterArn });
  }

  /** Creates those that the account lacks. Destroy leaves them: they belong to the account. */
  private createServiceLinkedRoles(): command.local.Command {
    const services = Object.keys(serviceRoles);
    return new command.local.Command(
      `${this.#name}-service-roles`,
      {
        create: "node commands/serviceLinkedRoles.ts",
        environment: { SERVICE_LINKED_ROLES: JSON.stringify({ region: this.#args.region, services }), ...profile() },
      },
      { parent: this },
    );
  }

  /**
   * Auto Scaling never replaces a protected instance, however old. So with an age, managed draining protects the tasks.
   */
  get #protected(): boolean {
    return this.#args.maxInstanceAgeDays === undefined;
  }

  /** A group of instances of one kind, and ECS's hold on it. */
  private createCapacity(
    kind: "on-demand" | "spot",
    template: LaunchTemplate,
    needed: pulumi.Resource[],
  ): aws.ecs.CapacityProvider {
    const name = kind === "spot" ? `${this.#name}-spot` : this.#name;
    const group = this.createGroup(name, kind, template, needed);
    return new aws.ecs.CapacityProvider(
      name,
      {
        autoScalingGroupProvider: {
          autoScalingGroupArn: group.arn,
          managedScaling: { status: "ENABLED", targetCapacity: 100 },
          // Only instances without a task are removed; a task on an instance that leaves is moved first.
          managedTerminationProtection: this.#protected ? "ENABLED" : "DISABLED",
          managedDraining: "ENABLED",
        },
        tags: this.#args.tags,
      },
      { parent: this },
    );
  }

  private createGroup(
    name: string,
    kind: "on-demand" | "spot",
    { templateId, version }: LaunchTemplate,
    needed: pulumi.Resource[],
  ): aws.autoscaling.Group {
    const { network, instanceTypes, maxInstances, maxInstanceAgeDays, tags } = this.#args;
    // ECS's managed scaling needs the first (docs.aws.amazon.com, "Cluster auto scaling").
    const all = { AmazonECSManaged: "true", ...tags };
    return new aws.autoscaling.Group(
      name,
      {
        minSize: 0,
        // No desired capacity: ECS sets it.
        maxSize: maxInstances,
        vpcZoneIdentifiers: network.privateSubnetIds,
        protectFromScaleIn: this.#protected,
        ...(kind === "spot" ? { capacityRebalance: true } : {}),
        ...(maxInstanceAgeDays === undefined ? {} : { maxInstanceLifetime: maxInstanceAgeDays * 86_400 }),
        mixedInstancesPolicy: {
          launchTemplate: {
            launchTemplateSpecification: { launchTemplateId: templateId, version },
            overrides: instanceTypes.map((instanceType) => ({ instanceType })),
          },
          instancesDistribution: {
            onDemandPercentageAboveBaseCapacity: kind === "spot" ? 0 : 100,
            onDemandAllocationStrategy: "prioritized",
            spotAllocationStrategy: "price-capacity-optimized",
          },
        },
        // Destroy also terminates protected instances.
        forceDelete: true,
        waitForCapacityTimeout: "0",
        tags: Object.entries(all).map(([key, value]) => ({
          key,
          value,
          propagateAtLaunch: key === "AmazonECSManaged",
        })),
      },
      { parent: this, dependsOn: needed, customTimeouts: { delete: "60m" } },
    );
  }
}

/** The AWS SDK's credentials in a command: those of the environment, or of the provider's profile. */
export function profile(): Record<string, string> {
  return aws.config.profile === undefined ? {} : { AWS_PROFILE: aws.config.profile };
}
