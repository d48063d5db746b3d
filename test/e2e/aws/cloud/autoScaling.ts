import { randomBytes } from "node:crypto";
import type { Properties } from "../../../../offline/plugins/values.ts";
import type { Account } from "./account.ts";
import { Instance } from "./instance.ts";
import type { Resource, Service } from "./resource.ts";

/** What a group makes its instances of. */
export interface Configuration {
  templateId: string;
  version: string;
  instanceTypes: readonly string[];
}

/** A replacement of all of a group's instances: docs.aws.amazon.com, API_InstanceRefresh. */
export interface Refresh {
  id: string;
  status: "InProgress" | "RollbackInProgress" | "RollbackSuccessful" | "Successful";
  reason: string;
}

export interface Group {
  name: string;
  size: number;
  targetGroupArns: readonly string[];
  configuration: Configuration;
  /** Those that are starting, too. */
  instances: Instance[];
  /** The newest first. */
  refreshes: Refresh[];
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
  };
}

/** Auto Scaling groups of as many instances as their minimum, with AWS's instance refresh. */
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

  /** Returns once the instances answer. */
  async make({ id, history: [given] }: Resource): Promise<Properties> {
    const { name, minSize: size, targetGroupArns, mixedInstancesPolicy } = given as unknown as Inputs;
    const { launchTemplateSpecification: template, overrides } = mixedInstancesPolicy.launchTemplate;
    const configuration = {
      templateId: template.launchTemplateId,
      version: template.version,
      instanceTypes: overrides.map(({ instanceType }) => instanceType),
    };
    const group: Group = { name, size, targetGroupArns, configuration, instances: [], refreshes: [] };
    this.#groups.set(id, group);
    await this.#launch(group, configuration);
    return {};
  }

  async remove(id: string): Promise<void> {
    const group = this.#groups.get(id);
    if (group !== undefined) await this.#terminate(group, group.instances);
    this.#groups.delete(id);
  }

  /** The instances that a load balancer sends requests to. */
  targetsOf(targetGroupArn: string): Instance[] {
    const groups = this.groups.filter(({ targetGroupArns }) => targetGroupArns.includes(targetGroupArn));
    return groups.flatMap(({ instances }) => instances.filter(({ state }) => state === "InService"));
  }

  /** Begins to replace the instances: new before old, and undone if a new one does not start. */
  refresh(group: Group, desired: Configuration): Refresh {
    const refresh: Refresh = { id: `refresh-${randomBytes(8).toString("hex")}`, status: "InProgress", reason: "" };
    group.refreshes.unshift(refresh);
    void this.#replace(group, refresh, desired);
    return refresh;
  }

  async #replace(group: Group, refresh: Refresh, desired: Configuration): Promise<void> {
    const before = group.instances;
    try {
      await this.#launch(group, desired);
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

  async #launch(group: Group, { templateId, version }: Configuration): Promise<void> {
    const instances = Array.from({ length: group.size }, () => new Instance(version, this.#account.label));
    group.instances = [...group.instances, ...instances];
    const userData = this.#account.userData(templateId, version);
    const secretOf = (arn: string, ofVersion: string) => this.#account.secret(arn, ofVersion);
    await Promise.all(instances.map((instance) => instance.launch(userData, secretOf)));
  }

  async #terminate(group: Group, leaving: readonly Instance[]): Promise<void> {
    group.instances = group.instances.filter((instance) => !leaving.includes(instance));
    for (const instance of leaving) {
      this.consoles.set(instance.id, await instance.console());
      await instance.terminate();
    }
  }
}
