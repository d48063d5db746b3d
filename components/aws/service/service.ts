import * as aws from "@pulumi/aws";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { ports } from "../../serving/ports.ts";
import { readyTimeout } from "../../serving/timeouts.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { profile } from "../cluster/cluster.ts";
import type { Network } from "../network.ts";
import type { RoleSettings } from "../policies.ts";
import { executionPolicy, trustPolicy } from "../policies.ts";
import type { Schedule } from "./scaling.ts";
import { rolloutPercent, scheduledAction, targetTracking } from "./scaling.ts";
import type { TaskDescription } from "./taskDefinition.ts";
import { containerDefinitions } from "./taskDefinition.ts";

export interface EcsServiceArgs {
  /** The service's name, and the task definition's family. */
  serviceName: string;
  cluster: Cluster;
  network: Network;
  task: pulumi.Output<TaskDescription>;
  /** The repositories of ECR that the images are in. */
  repositoryArns: pulumi.Input<string>[];
  logGroupArn: pulumi.Input<string>;
  /** The load balancer's security group; nothing else may connect. */
  loadBalancerSecurityGroupId: pulumi.Input<string>;
  targetGroupArn: pulumi.Input<string>;
  /** The alarms that roll back a rollout. */
  alarmNames: pulumi.Input<string>[];
  minReplicas: number;
  maxReplicas: number;
  scaling: readonly Schedule[];
  roles: RoleSettings;
  tags: Record<string, string>;
  /** Everything that a task's first start needs: the keys, the listener. */
  dependsOn: pulumi.Resource[];
}

/**
 * How long ECS ignores a task's failing health checks: its server loads the model from a new disk and answers known
 * questions.
 */
const gracePeriod = readyTimeout + 300;

/** How long an update waits for a rollout, in seconds: each step needs an instance, an image of gigabytes, a model. */
const rolloutTimeout = 3 * 3600;

/** As many tasks as the load requires, each on an instance of its own, and how they are replaced. */
export class EcsService extends pulumi.ComponentResource {
  readonly serviceName: pulumi.Output<string>;
  /** The running task definition; known once the rollout has succeeded. */
  readonly version: pulumi.Output<string>;

  readonly #name: string;
  readonly #args: EcsServiceArgs;

  constructor(name: string, args: EcsServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("bitnet-server:aws:EcsService", name, {}, opts);
    this.#name = name;
    this.#args = args;

    const [role, granted] = this.createExecutionRole();
    const group = this.createSecurityGroup();
    const task = this.createTaskDefinition(role);
    const service = this.createService(task, group, granted);
    this.createScaling(service);
    const rollout = this.awaitDeployment(service, task);

    this.serviceName = service.name;
    this.version = pulumi.all([task.arn, rollout.id]).apply(([arn]) => arn);
    this.registerOutputs({ serviceName: this.serviceName });
  }

  /** For ECS, which pulls the images, reads the secret and writes the logs. The containers themselves have no role. */
  private createExecutionRole(): [aws.iam.Role, aws.iam.RolePolicy] {
    const { roles, tags, repositoryArns, logGroupArn, task } = this.#args;
    const parent = { parent: this };
    const name = `${this.#name}-execution`;
    const role = new aws.iam.Role(name, { assumeRolePolicy: trustPolicy("ecs-tasks"), ...roles, tags }, parent);
    const policy = pulumi
      .all([pulumi.all(repositoryArns), logGroupArn, task.secretArn])
      .apply(([repositories, logGroup, secret]) => executionPolicy(repositories, logGroup, secret));
    return [role, new aws.iam.RolePolicy(name, { role: role.id, policy }, parent)];
  }

  /** Inbound from the load balancer on two ports; outbound nothing. */
  private createSecurityGroup(): aws.ec2.SecurityGroup {
    const { network, loadBalancerSecurityGroupId, tags } = this.#args;
    const parent = { parent: this };
    const description = "BitNet Server: tasks";
    const group = new aws.ec2.SecurityGroup(this.#name, { vpcId: network.vpcId, description, tags }, parent);
    for (const port of [ports.edge, ports.health]) {
      const connection = { ipProtocol: "tcp", fromPort: port, toPort: port, tags };
      new aws.vpc.SecurityGroupIngressRule(
        `${this.#name}-${port}`,
        {
          securityGroupId: group.id,
          description: "from the load balancer",
          referencedSecurityGroupId: loadBalancerSecurityGroupId,
          ...connection,
        },
        parent,
      );
      new aws.vpc.SecurityGroupEgressRule(
        `${this.#name}-from-load-balancer-${port}`,
        {
          securityGroupId: loadBalancerSecurityGroupId,
          description: "to the tasks",
          referencedSecurityGroupId: group.id,
          ...connection,
        },
        parent,
      );
    }
    return group;
  }

  private createTaskDefinition(role: aws.iam.Role): aws.ecs.TaskDefinition {
    const { serviceName, task, tags } = this.#args;
    return new aws.ecs.TaskDefinition(
      this.#name,
      {
        family: serviceName,
        requiresCompatibilities: ["EC2"],
        networkMode: "awsvpc",
        executionRoleArn: role.arn,
        containerDefinitions: pulumi.jsonStringify(task.apply(containerDefinitions)),
        tags,
      },
      { parent: this },
    );
  }

  private createService(
    task: aws.ecs.TaskDefinition,
    group: aws.ec2.SecurityGroup,
    granted: aws.iam.RolePolicy,
  ): aws.ecs.Service {
    const { serviceName, cluster, network, targetGroupArn, minReplicas, alarmNames, tags, dependsOn } = this.#args;
    return new aws.ecs.Service(
      this.#name,
      {
        name: serviceName,
        cluster: cluster.clusterArn,
        taskDefinition: task.arn,
        capacityProviderStrategies: cluster.strategy,
        // Initial value; after that, scaling sets it.
        desiredCount: minReplicas,
        placementConstraints: [{ type: "distinctInstance" }],
        orderedPlacementStrategies: [{ type: "spread", field: "attribute:ecs.availability-zone" }],
        networkConfiguration: { subnets: network.privateSubnetIds, securityGroups: [group.id], assignPublicIp: false },
        loadBalancers: [{ targetGroupArn, containerName: "haproxy", containerPort: ports.edge }],
        healthCheckGracePeriodSeconds: gracePeriod,
        // The rolling strategy, because only that has the circuit breaker: docs/architecture.md, "On AWS".
        deploymentMinimumHealthyPercent: 100,
        deploymentMaximumPercent: rolloutPercent(this.#args),
        deploymentCircuitBreaker: { enable: true, rollback: true },
        alarms: { enable: true, rollback: true, alarmNames },
        // The command below waits instead: it can tell a rollback from a success, and says why.
        waitForSteadyState: false,
        // Otherwise another share of spot would replace the service: see the provider's docs on
        // capacity_provider_strategy.
        forceNewDeployment: true,
        // Destroy stops running tasks.
        forceDelete: true,
        enableEcsManagedTags: true,
        propagateTags: "SERVICE",
        tags,
      },
      {
        parent: this,
        dependsOn: [granted, ...dependsOn],
        ignoreChanges: ["desiredCount"],
        customTimeouts: { delete: "60m" },
      },
    );
  }

  private createScaling(service: aws.ecs.Service): void {
    const { serviceName, cluster, minReplicas, maxReplicas, scaling, tags } = this.#args;
    const parent = { parent: this };
    const scaled = {
      serviceNamespace: "ecs",
      scalableDimension: "ecs:service:DesiredCount",
      resourceId: pulumi.interpolate`service/${cluster.clusterArn.apply((arn) => arn.slice(arn.lastIndexOf("/") + 1))}/${service.name}`,
    };
    const target = new aws.appautoscaling.Target(
      this.#name,
      { ...scaled, minCapacity: minReplicas, maxCapacity: maxReplicas, tags },
      // A schedule owns the limits, and an update must not reset them.
      { ...parent, ignoreChanges: scaling.length === 0 ? [] : ["minCapacity", "maxCapacity"] },
    );
    const dependsOn = [target];
    new aws.appautoscaling.Policy(
      this.#name,
      {
        ...scaled,
        policyType: "TargetTrackingScaling",
        targetTrackingScalingPolicyConfiguration: targetTracking(serviceName),
      },
      { ...parent, dependsOn },
    );
    for (const [index, schedule] of scaling.entries()) {
      new aws.appautoscaling.ScheduledAction(
        `${this.#name}-${index}`,
        { ...scaled, ...scheduledAction(schedule) },
        { ...parent, dependsOn },
      );
    }
  }

  /** See commands/awaitDeployment.ts. If it fails, the update fails, and the next one tries again. */
  private awaitDeployment(service: aws.ecs.Service, task: aws.ecs.TaskDefinition): command.local.Command {
    const { cluster, task: description } = this.#args;
    const request = {
      region: description.region,
      cluster: cluster.clusterArn,
      service: service.name,
      taskDefinition: task.arn,
      logGroup: description.logGroup,
      timeout: rolloutTimeout,
    };
    return new command.local.Command(
      `${this.#name}-rollout`,
      {
        create: "node commands/awaitDeployment.ts",
        environment: { AWAIT_DEPLOYMENT: pulumi.jsonStringify(request), ...profile() },
        logging: "stderr",
      },
      { parent: this, customTimeouts: { create: "4h", update: "4h" } },
    );
  }
}
