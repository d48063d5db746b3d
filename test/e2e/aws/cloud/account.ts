import { randomBytes, randomUUID } from "node:crypto";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { textOf } from "../../../../offline/plugins/values.ts";
import { awsAnswers, awsComputed } from "../../../program/aws.ts";
import { docker } from "../../support/docker.ts";
import { AutoScaling } from "./autoScaling.ts";
import { LoadBalancing } from "./loadBalancing.ts";
import { ContainerRegistry, login } from "./registry.ts";
import type { Resource, Service } from "./resource.ts";
import { inputsOf, types } from "./resource.ts";

/**
 * An account at AWS, on this machine. It takes any resource and gives it an id and ARNs; what a request goes through
 * from image to answer is real: the registry, the instances' containers, the load balancer.
 */
export class Account {
  /** On all containers and networks of it. */
  readonly label = `bitnet-server.test-account=${randomBytes(4).toString("hex")}`;
  readonly autoScaling = new AutoScaling(this);
  readonly #resources = new Map<string, Resource>();
  readonly #services: Readonly<Record<string, Service>> = {
    [types.repository]: new ContainerRegistry(this.label),
    [types.launchTemplate]: {
      make: () => ({ latestVersion: 1 }),
      change: ({ history }) => ({ latestVersion: history.length }),
    },
    [types.secretVersion]: { make: () => ({ versionId: randomUUID() }) },
    [types.loadBalancer]: new LoadBalancing(this),
    [types.group]: this.autoScaling,
  };

  get resources(): readonly Resource[] {
    return [...this.#resources.values()];
  }

  resourcesOf(type: string): Resource[] {
    return this.resources.filter((resource) => resource.type === type);
  }

  async create(type: string, name: string, inputs: Properties): Promise<Resource> {
    const id = `${type.split(":").at(-1) ?? ""}-${randomBytes(8).toString("hex")}`;
    const outputs = awsComputed(type, name, inputs) as Properties;
    const resource = { id, type, name, history: [inputs], outputs };
    const service = this.#services[type];
    try {
      Object.assign(outputs, await service?.make(resource));
    } catch (error) {
      await service?.remove?.(id);
      throw error;
    }
    this.#resources.set(id, resource);
    return resource;
  }

  update(id: string, inputs: Properties): Resource {
    const resource = this.#find(id);
    const service = this.#services[resource.type];
    if (service?.change === undefined) {
      throw new Error(`the stand-in for AWS cannot change ${resource.type} ${resource.name}`);
    }
    resource.history.push(inputs);
    Object.assign(resource.outputs, service.change(resource));
    return resource;
  }

  /** AWS deletes nothing that something else still needs. */
  async delete(id: string): Promise<void> {
    const { type } = this.#find(id);
    const user = this.resources.find((resource) => JSON.stringify(inputsOf(resource)).includes(id));
    if (user !== undefined) throw new Error(`DependencyViolation: ${id} is in use by ${user.type} ${user.name}`);
    await this.#services[type]?.remove?.(id);
    this.#resources.delete(id);
  }

  /** A function of the provider. */
  invoke(token: string, args: Properties): Properties {
    if (token === "aws:ecr/getAuthorizationToken:getAuthorizationToken") {
      return { userName: login.username, password: login.password };
    }
    const answer = awsAnswers[token];
    if (answer === undefined) throw new Error(`the stand-in for AWS does not answer ${token}`);
    return answer(args) as Properties;
  }

  /** A launch template's user data, in clear. */
  userData(templateId: string, version: string): string {
    const { userData } = this.#find(templateId).history[Number(version) - 1] ?? {};
    return Buffer.from(textOf(userData), "base64").toString();
  }

  /** A secret's text. */
  secret(arn: string, version: string): string {
    const found = this.resourcesOf(types.secretVersion).find(
      ({ outputs }) => outputs["secretArn"] === arn && outputs["versionId"] === version,
    );
    if (found === undefined) throw new Error(`ResourceNotFoundException: ${arn} has no version ${version}`);
    return textOf(inputsOf(found)["secretString"]);
  }

  /** All that the account has on the Docker Engine, by name. */
  async belongings(): Promise<string[]> {
    const filters = { label: [this.label] };
    const [containers, networks] = await Promise.all([
      docker.listContainers({ all: true, filters }),
      docker.listNetworks({ filters }),
    ]);
    return [...containers.flatMap(({ Names }) => Names), ...networks.map(({ Name }) => Name)];
  }

  /** Removes what a test has left. */
  async close(): Promise<void> {
    for (const { id, type } of this.resources) await this.#services[type]?.remove?.(id);
  }

  #find(id: string): Resource {
    const resource = this.#resources.get(id);
    if (resource === undefined) throw new Error(`there is no ${id}`);
    return resource;
  }
}
