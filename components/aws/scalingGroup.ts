import * as aws from "@pulumi/aws";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { RefreshRequest } from "./instanceRefresh.ts";
import { metricNamespace } from "./monitoringBodies.ts";

export interface ScalingGroupArgs {
  /** The group's name, which the instances know from their user data. */
  groupName: string;
  /** The launch hook's name, likewise. */
  hookName: string;
  region: string;
  accountId: string;
  minReplicas: number;
  maxReplicas: number;
  /** Percent of the instances above `minReplicas` that are spot. */
  spot: number;
  /** The first is preferred; all run the same code. */
  instanceTypes: readonly string[];
  templateId: pulumi.Input<string>;
  templateVersion: pulumi.Input<string>;
  subnetIds: pulumi.Input<string>[];
  targetGroupArn: pulumi.Input<string>;
  tags: Record<string, string>;
  /** All that an instance's first start needs: routes, policies, the secret, the log group, the listener. */
  dependsOn: pulumi.Resource[];
}

/**
 * Seconds in which a new instance has to be ready: packages, some gigabytes of image, loading, and known answers. After
 * that it is given up, and another one is started.
 */
const launchTimeout = 1800;

/** Percent of slots that are busy, with the requests that wait: at 70 a new instance is started before anyone waits long. */
const targetLoad = 70;

/** The instances, as many as the load asks for, and the way in which they are replaced. */
export class ScalingGroup extends pulumi.ComponentResource {
  readonly groupName: pulumi.Output<string>;
  /** What has to be waited for before the fleet is what the update says. */
  readonly rollout: pulumi.Resource;

  constructor(name: string, args: ScalingGroupArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:ScalingGroup", name, {}, opts);

    const group = this.createGroup(name, args);
    this.createScaling(name, group);
    this.rollout = this.createRollout(name, args, group);

    this.groupName = group.name;
    this.registerOutputs({ groupName: this.groupName });
  }

  private createGroup(name: string, args: ScalingGroupArgs): aws.autoscaling.Group {
    return new aws.autoscaling.Group(
      name,
      {
        name: args.groupName,
        minSize: args.minReplicas,
        // Without a desired capacity: it is the scaling's, and an update leaves it alone.
        maxSize: args.maxReplicas,
        vpcZoneIdentifiers: args.subnetIds,
        targetGroupArns: [args.targetGroupArn],
        // An instance whose server hangs is replaced. It counts from when it was ready, so there is nothing to wait for.
        healthCheckType: "ELB",
        healthCheckGracePeriod: 60,
        defaultInstanceWarmup: 60,
        capacityRebalance: args.spot > 0,
        mixedInstancesPolicy: {
          launchTemplate: {
            launchTemplateSpecification: { launchTemplateId: args.templateId, version: args.templateVersion },
            overrides: args.instanceTypes.map((instanceType) => ({ instanceType })),
          },
          instancesDistribution: {
            onDemandBaseCapacity: args.minReplicas,
            onDemandPercentageAboveBaseCapacity: 100 - args.spot,
            onDemandAllocationStrategy: "prioritized",
            spotAllocationStrategy: "price-capacity-optimized",
          },
        },
        initialLifecycleHooks: [
          {
            name: args.hookName,
            lifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING",
            heartbeatTimeout: launchTimeout,
            defaultResult: "ABANDON",
          },
        ],
        // The rollout below waits. The provider would wait for the size that it saw last, which scaling has changed since.
        waitForCapacityTimeout: "0",
        tags: Object.entries(args.tags).map(([key, value]) => ({ key, value, propagateAtLaunch: false })),
      },
      {
        parent: this,
        dependsOn: args.dependsOn,
        // What instances are made of is the rollout's. The provider's own way neither waits nor says what went wrong. All
        // of the policy, because the provider sends all of it, with the first version in it, if any of it has changed.
        ignoreChanges: ["mixedInstancesPolicy"],
        // An instance that is still starting is waited for, then those that drain.
        customTimeouts: { delete: "60m" },
      },
    );
  }

  /**
   * Running requests alone are capped by the slots: a full fleet would look like one that is just busy enough. What
   * waits counts as well.
   */
  private createScaling(name: string, group: aws.autoscaling.Group): void {
    new aws.autoscaling.Policy(
      `${name}-load`,
      {
        autoscalingGroupName: group.name,
        policyType: "TargetTrackingScaling",
        targetTrackingConfiguration: {
          targetValue: targetLoad,
          customizedMetricSpecification: {
            namespace: metricNamespace,
            metricName: "Load",
            statistic: "Average",
            metricDimensions: [{ name: "AutoScalingGroupName", value: group.name }],
          },
        },
      },
      { parent: this },
    );
  }

  /** See instanceRefresh.ts. If it fails, so does the update, and the next one tries again. */
  private createRollout(name: string, args: ScalingGroupArgs, group: aws.autoscaling.Group): command.local.Command {
    const request: pulumi.Input<RefreshRequest> = pulumi
      .all([group.name, args.templateId, args.templateVersion, args.targetGroupArn])
      .apply(([groupName, templateId, templateVersion, targetGroupArn]) => {
        const { region, accountId, instanceTypes, minReplicas, spot } = args;
        const template = { templateId, templateVersion, instanceTypes };
        return { region, accountId, groupName, ...template, minReplicas, spot, launchTimeout, targetGroupArn };
      });
    const profile = aws.config.profile;
    return new command.local.Command(
      `${name}-rollout`,
      {
        create: "node commands/instanceRefresh.ts",
        environment: {
          REFRESH: pulumi.jsonStringify(request),
          ...(profile === undefined ? {} : { AWS_PROFILE: profile }),
        },
      },
      { parent: this, customTimeouts: { create: "6h", update: "6h" } },
    );
  }
}
