import type { Properties } from "../../../../offline/plugins/values.ts";
import { textOf } from "../../../../offline/plugins/values.ts";
import type { TestRegistry } from "../../support/registry.ts";
import { startRegistry } from "../../support/registry.ts";
import type { Resource, Service } from "./resource.ts";

/** What ECR hands out to log in with. */
export const login = { username: "AWS", password: "token-of-the-registry" };

/** ECR: a registry in a container, on loopback, that lets nobody in without the login. */
export class ContainerRegistry implements Service {
  readonly #label: string;
  readonly #registries = new Map<string, TestRegistry>();

  /** @param label of the containers */
  constructor(label: string) {
    this.#label = label;
  }

  async make({ id, history: [inputs] }: Resource): Promise<Properties> {
    const registry = await startRegistry({ user: login, label: this.#label });
    this.#registries.set(id, registry);
    return { repositoryUrl: `${registry.host}/${textOf(inputs?.["name"])}` };
  }

  async remove(id: string): Promise<void> {
    await this.#registries.get(id)?.stop();
    this.#registries.delete(id);
  }
}
