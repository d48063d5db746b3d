import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { account, region } from "../../../program/aws.ts";
import type { Account } from "./account.ts";
import { Instance } from "./instance.ts";
import type { Resource, Service } from "./resource.ts";

/** What a group makes its instances of. */
export interface Configuration {
  templateId: string;
  version: string;
  instanceTypes: readonly string[];
  onDemandBase: number;
  onDemandPercentageAbove: number;
}

/** A replacement of all of a group's instances: docs.aws.amazon.com, API_InstanceRefresh. */
export interface Refresh {
  id: string;
  status: "InProgress" | "RollbackInProgress" | "RollbackSuccessful" | "Successful";
  reason: string;
}

/** A start that failed: docs.aws.amazon.com, API_Activity. */
export interface FailedLaunch {
  id: string;
  instanceId: string;
  reason: string;
}

export interface Group {
  name: string;
  arn: string;
  /** How many instances there shall be: at first and at least the minimum. */
  size: number;
  targetGroupArns: readonly string[];
  configuration: Configuration;
  /** Those that are starting, too. */
  instances: Instance[];
  /** The newest first. */
  refreshes: Refresh[];
  /** The newest first. */
  failedLaunches: FailedLaunch[];
  /** Settles once there are as many instances as there shall be. */
  filled: Promise<void>;
}

/** The part of a group's inputs that is looked at. */
interface Inputs {
  name: string;
  minSize: number;
  targetGroupArns: string[];
  mixedInstancesPolicy: {
    launchTemplate: {
      launchTemplateSpecification: { launchTemplateId: string; version: string };
      overrides: { instanceType: string }[];
    };
    instancesDistribution: { onDemandBaseCapacity: number; onDemandPercentageAboveBaseCapacity: number };
  };
}

/** Auto Scaling groups that nothing but their minimum makes bigger, with AWS's instance refresh. */
export class AutoScaling implements Service {
  /** What instances said that are gone, by their ids. */
  readonly consoles = new Map<string, string>();
  readonly #account: Account;
  readonly #groups = new Map<string, Group>();

  constructor(account: Account) {
    this.#account = account;
  }

  get groups(): readonly Group[] {
    return [...this.#groups.values()];
  }

  /** Returns at once, as the provider does that is told to wait for no capacity. */
  make({ id, history: [given] }: Resource): Properties {
    const { name, minSize: size, targetGroupArns, mixedInstancesPolicy } = given as unknown as Inputs;
    const group: Group = {
      name,
      arn: `arn:aws:autoscaling:${region}:${account}:autoScalingGroup:${id}:autoScalingGroupName/${name}`,
      size,
      targetGroupArns,
      configuration: configurationOf(mixedInstancesPolicy),
      instances: [],
      refreshes: [],
      failedLaunches: [],
      filled: Promise.resolve(),
    };
    this.#groups.set(id, group);
    this.#fill(group);
    return {};
  }

  /** As the provider does: a policy that has changed in any part is sent as a whole. */
  change({ id, history }: Resource): Properties {
    const [before, now] = history.slice(-2) as unknown as [Inputs, Inputs];
    const group = this.#groups.get(id);
    if (group === undefined) throw new Error(`there is no group ${id}`);
    if (!isDeepStrictEqual(before.mixedInstancesPolicy, now.mixedInstancesPolicy)) {
      group.configuration = configurationOf(now.mixedInstancesPolicy);
    }
    group.size = Math.max(group.size, now.minSize);
    this.#fill(group);
    return {};
  }

  async remove(id: string): Promise<void> {
    const group = this.#groups.get(id);
    if (group === undefined) return;
    group.size = 0;
    await group.filled;
    await this.#terminate(group, group.instances);
    this.#groups.delete(id);
  }

  /** The instances that a load balancer sends requests to. */
  targetsOf(targetGroupArn: string): Instance[] {
    const groups = this.groups.filter(({ targetGroupArns }) => targetGroupArns.includes(targetGroupArn));
    return groups.flatMap(({ instances }) => instances.filter(({ state }) => state === "InService"));
  }

  /** Ends instances that are starting, as EC2 does when it is asked: their groups find that these have failed. */
  async endStarting(ids: readonly string[]): Promise<void> {
    const instances = this.groups.flatMap((group) => group.instances).filter(({ id }) => ids.includes(id));
    for (const instance of instances) await instance.terminate();
  }

  /** Begins to replace the instances: new before old, and undone if a new one does not start. */
  refresh(group: Group, desired: Configuration): Refresh {
    const refresh: Refresh = { id: `refresh-${randomBytes(8).toString("hex")}`, status: "InProgress", reason: "" };
    group.refreshes.unshift(refresh);
    void this.#replace(group, refresh, desired);
    return refresh;
  }

  async #replace(group: Group, refresh: Refresh, desired: Configuration): Promise<void> {
    await group.filled;
    const before = group.instances;
    try {
      await this.#launch(group, desired, group.size);
      group.configuration = desired;
      await this.#terminate(group, before);
      refresh.status = "Successful";
    } catch (error) {
      refresh.status = "RollbackInProgress";
      refresh.reason = (error as Error).message;
      await this.#terminate(
        group,
        group.instances.filter((instance) => !before.includes(instance)),
      );
      refresh.status = "RollbackSuccessful";
    }
  }

  /** Starts what is missing, and another one for each that does not start, for as long as it takes. */
  #fill(group: Group): void {
    const fill = async () => {
      while (group.instances.length < group.size) {
        const missing = group.size - group.instances.length;
        await this.#launch(group, group.configuration, missing).catch(() => sleep(1000));
      }
    };
    group.filled = group.filled.then(fill);
  }

  /** Returns when all have started or ended; throws if one did not start. */
  async #launch(group: Group, configuration: Configuration, count: number): Promise<void> {
    const instances = Array.from({ length: count }, () => new Instance(configuration.version, this.#account.label));
    group.instances = [...group.instances, ...instances];
    const outcomes = await Promise.allSettled(
      instances.map((instance) => this.#launchOne(group, configuration, instance)),
    );
    const failed = outcomes.find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason as Error;
  }

  async #launchOne(group: Group, { templateId, version }: Configuration, instance: Instance): Promise<void> {
    try {
      const secretOf = (arn: string, ofVersion: string) => this.#account.secret(arn, ofVersion);
      await instance.launch(this.#account.userData(templateId, version), secretOf);
    } catch (error) {
      const reason = (error as Error).message;
      await this.#terminate(group, [instance]);
      const id = `activity-${randomBytes(8).toString("hex")}`;
      group.failedLaunches.unshift({ id, instanceId: instance.id, reason });
      throw error;
    }
  }

  async #terminate(group: Group, leaving: readonly Instance[]): Promise<void> {
    group.instances = group.instances.filter((instance) => !leaving.includes(instance));
    for (const instance of leaving) {
      this.consoles.set(instance.id, await instance.console());
      await instance.terminate();
    }
  }
}

function configurationOf({ launchTemplate, instancesDistribution }: Inputs["mixedInstancesPolicy"]): Configuration {
  const { launchTemplateSpecification: template, overrides } = launchTemplate;
  return {
    templateId: template.launchTemplateId,
    version: template.version,
    instanceTypes: overrides.map(({ instanceType }) => instanceType),
    onDemandBase: instancesDistribution.onDemandBaseCapacity,
    onDemandPercentageAbove: instancesDistribution.onDemandPercentageAboveBaseCapacity,
  };
}
