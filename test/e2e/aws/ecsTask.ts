import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import type { ContainerDefinition } from "../../../components/aws/service/taskDefinition.ts";
import { ports } from "../../../components/serving/ports.ts";
import { docker } from "../support/docker.ts";
import { isHealthy } from "../support/net.ts";
import { dockerFlags, startOrder } from "./dockerFlags.ts";

/** A task on this machine's Docker Engine: the containers of a task definition, in one network. */
export class EcsTask {
  readonly id = randomBytes(16).toString("hex");
  readonly definition: string;
  /** The ports on loopback that stand for the task's own address. */
  port = 0;
  healthPort = 0;
  /** Why it ended. */
  stoppedReason: string | undefined;
  readonly #containers: readonly ContainerDefinition[];
  readonly #label: string;

  /** @param definition the registered container definitions, in JSON */
  constructor(definition: string, label: string) {
    this.definition = definition;
    this.#containers = startOrder(JSON.parse(definition) as ContainerDefinition[]);
    this.#label = label;
  }

  get containers(): readonly ContainerDefinition[] {
    return this.#containers;
  }

  /** @param secretOf the text behind a `valueFrom` */
  async start(secretOf: (valueFrom: string) => string): Promise<void> {
    const image = this.#containers.find(({ name }) => name === "haproxy")?.image ?? "";
    const label = `--label=${this.#label}`;
    const published = [ports.edge, ports.health].map((port) => `--publish=127.0.0.1::${port}`);
    // ECS's pause container: it holds the network.
    const pause = [...published, label, `--name=${this.name("pause")}`, "--entrypoint=sleep", image, "infinity"];
    await execa("docker", ["run", "--detach", ...pause]);
    const { NetworkSettings } = await docker.getContainer(this.name("pause")).inspect();
    const hostPort = (port: number) => Number(NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort);
    [this.port, this.healthPort] = [hostPort(ports.edge), hostPort(ports.health)];
    const raisesMemlock = await mayRaiseMemlock(image);
    for (const container of this.#containers) {
      const placement = { network: this.name("pause"), name: this.name(container.name), labels: [this.#label] };
      await execa("docker", ["run", "--detach", ...dockerFlags(container, { ...placement, secretOf, raisesMemlock })]);
    }
    await this.#restart("no");
  }

  /** ECS starts no container again that ends within `restartAttemptPeriod` of its start: the task has failed. */
  async #restart(policy: "no" | "unless-stopped"): Promise<void> {
    const names = this.#containers
      .filter(({ restartPolicy }) => restartPolicy.enabled)
      .map(({ name }) => this.name(name));
    if (names.length > 0) await execa("docker", ["update", "--restart", policy, ...names]);
  }

  /** Whether the load balancer would find it healthy. */
  async isHealthy(): Promise<boolean> {
    return this.healthPort > 0 && isHealthy(`http://127.0.0.1:${this.healthPort}`);
  }

  /** Returns once it is healthy; throws as soon as a container has ended. */
  async ready(seconds = 300): Promise<void> {
    const deadline = Date.now() + seconds * 1000;
    while (!(await this.isHealthy())) {
      for (const { name } of this.#containers) {
        const { State } = await docker.getContainer(this.name(name)).inspect();
        if (State.Status !== "exited") continue;
        const words = (await this.log(name)).slice(-15).join("\n");
        throw new Error(`Essential container in task exited: ${name}: exit code ${State.ExitCode}\n${words}`);
      }
      if (Date.now() > deadline) throw new Error(`Task failed ELB health checks for ${seconds} s`);
      await sleep(250);
    }
    await this.#restart("unless-stopped");
  }

  /** As ECS does: the containers that others depend on last, each with its time to finish. */
  async stop(): Promise<void> {
    for (const { name, stopTimeout } of this.#containers.toReversed()) {
      await execa("docker", ["stop", "--time", String(stopTimeout), this.name(name)], { reject: false });
    }
    await this.remove();
  }

  async remove(): Promise<void> {
    const names = ["pause", ...this.#containers.map(({ name }) => name)].map((name) => this.name(name));
    await execa("docker", ["rm", "--force", ...names], { reject: false });
  }

  async log(container: string): Promise<string[]> {
    const { all } = await execa("docker", ["logs", this.name(container)], { all: true, reject: false });
    return all.split("\n");
  }

  /** On the engine. */
  name(container: string): string {
    return `task-${this.id.slice(0, 12)}-${container}`;
  }
}

let raises: boolean | undefined;

async function mayRaiseMemlock(image: string): Promise<boolean> {
  const probe = ["run", "--rm", "--ulimit=memlock=-1:-1", "--entrypoint=true", image];
  raises ??= (await execa("docker", probe, { reject: false })).exitCode === 0;
  return raises;
}
