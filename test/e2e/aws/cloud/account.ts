import { randomBytes, randomUUID } from "node:crypto";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { textOf } from "../../../../offline/plugins/values.ts";
import { account, awsAnswers, awsComputed, region } from "../../../program/aws.ts";
import { docker } from "../../support/docker.ts";
import { Ecs } from "./ecs.ts";
import { LoadBalancing } from "./loadBalancing.ts";
import { ContainerRegistry, login } from "./registry.ts";
import type { Resource, Service } from "./resource.ts";
import { inputsOf, types } from "./resource.ts";

/**
 * An account at AWS, on this machine. It takes any resource and gives it an id and ARNs; what a request goes through
 * from image to answer is real: the registry, the tasks' containers, the load balancer.
 */
export class Account {
  /** On all containers and networks of it. */
  readonly label = `bitnet-server.test-account=${randomBytes(4).toString("hex")}`;
  readonly ecs = new Ecs(this);
  readonly #resources = new Map<string, Resource>();
  #revision = 0;
  readonly #services: Readonly<Record<string, Service>> = {
    [types.repository]: new ContainerRegistry(this.label),
    [types.launchTemplate]: {
      make: () => ({ latestVersion: 1 }),
      change: ({ history }) => ({ latestVersion: history.length }),
    },
    [types.secretVersion]: { make: () => ({ versionId: randomUUID() }) },
    [types.loadBalancer]: new LoadBalancing(this),
    [types.taskDefinition]: {
      make: ({ history: [inputs] }) => ({ arn: this.#nextTaskDefinition(textOf(inputs?.["family"])) }),
    },
    [types.service]: this.ecs,
    [types.scalableTarget]: { make: () => ({}), change: (resource) => this.#scale(resource) },
    // Nothing of it is played: an instance is this machine.
    [types.group]: { make: () => ({}), change: () => ({}) },
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

  /** What was registered under an ARN, in JSON. */
  containerDefinitions(arn: string): string {
    const found = this.resourcesOf(types.taskDefinition).find(({ outputs }) => outputs["arn"] === arn);
    if (found === undefined) throw new Error(`there is no task definition ${arn}`);
    return textOf(inputsOf(found)["containerDefinitions"]);
  }

  /** @param valueFrom a secret's ARN, a field, nothing, and a version: docs.aws.amazon.com, "secrets-envvar-secrets-manager" */
  secretField(valueFrom: string): string {
    const [, arn = "", field = "", version = ""] = /^(arn:(?:[^:]*:){5}[^:]*):([^:]*)::([^:]*)$/.exec(valueFrom) ?? [];
    const found = this.resourcesOf(types.secretVersion).find(
      ({ outputs }) => outputs["secretArn"] === arn && outputs["versionId"] === version,
    );
    if (found === undefined) throw new Error(`ResourceNotFoundException: ${arn} has no version ${version}`);
    const fields = JSON.parse(textOf(inputsOf(found)["secretString"])) as Record<string, string>;
    return fields[field] ?? "";
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

  #scale(resource: Resource): Properties {
    this.ecs.scale(Number(inputsOf(resource)["minCapacity"]));
    return {};
  }

  #nextTaskDefinition(family: string): string {
    this.#revision += 1;
    return `arn:aws:ecs:${region}:${account}:task-definition/${family}:${this.#revision}`;
  }

  #find(id: string): Resource {
    const resource = this.#resources.get(id);
    if (resource === undefined) throw new Error(`there is no ${id}`);
    return resource;
  }
}
