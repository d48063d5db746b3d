import { setTimeout as sleep } from "node:timers/promises";
import type { Deployment, StoppedTask } from "../../../../components/aws/service/explain.ts";
import { logStream } from "../../../../components/aws/service/explain.ts";
import { follow } from "../../../../offline/plugins/docker/pull.ts";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { account, region } from "../../../program/aws.ts";
import { docker } from "../../support/docker.ts";
import { EcsTask } from "../ecsTask.ts";
import type { Account } from "./account.ts";
import { login } from "./registry.ts";
import type { Resource, Service } from "./resource.ts";

/** The part of a service's inputs that is looked at. */
interface Inputs {
  name: string;
  taskDefinition: string;
  desiredCount: number;
  deploymentCircuitBreaker: { enable: boolean; rollback: boolean };
  loadBalancers: { targetGroupArn: string }[];
}

/** A task that has ended, and what its containers said. */
interface Ended extends StoppedTask {
  logs: Readonly<Record<string, readonly string[]>>;
}

interface Running {
  inputs: Inputs;
  /** How many tasks there shall be. */
  size: number;
  tasks: { task: EcsTask; taskDefinition: string }[];
  deployments: Deployment[];
  /** The newest first. */
  ended: Ended[];
  /** Settles once the last deployment has ended. */
  settled: Promise<void>;
}

/** So many tasks may fail before the circuit breaker ends a deployment: ECS's least is three. */
const breaker = 3;

/** ECS services whose tasks are containers of this machine, with ECS's rolling deployment and its circuit breaker. */
export class Ecs implements Service {
  readonly #account: Account;
  readonly #services = new Map<string, Running>();
  #deployed = 0;

  constructor(of: Account) {
    this.#account = of;
  }

  get services(): readonly Running[] {
    return [...this.#services.values()];
  }

  /** Returns at once, as the provider does that is not told to wait. */
  make({ id, history: [given] }: Resource): Properties {
    const inputs = given as unknown as Inputs;
    const service = {
      inputs,
      size: inputs.desiredCount,
      tasks: [],
      deployments: [],
      ended: [],
      settled: Promise.resolve(),
    };
    this.#services.set(id, service);
    this.#deploy(service, inputs.taskDefinition);
    return {};
  }

  change({ id, history }: Resource): Properties {
    const service = this.#services.get(id);
    if (service === undefined) throw new Error(`there is no service ${id}`);
    service.inputs = history.at(-1) as unknown as Inputs;
    // Whatever has changed, as the provider is told to force a deployment.
    this.#deploy(service, service.inputs.taskDefinition);
    return {};
  }

  /** UpdateService with a task definition, forced. */
  redeploy(name: string, taskDefinition: string): readonly Deployment[] {
    const service = this.services.find(({ inputs }) => inputs.name === name);
    if (service === undefined) throw new Error(`ServiceNotFoundException: ${name}`);
    this.#deploy(service, taskDefinition);
    return service.deployments;
  }

  /** What Application Auto Scaling does when a service has fewer tasks than its least. */
  scale(least: number): void {
    for (const service of this.services) {
      service.size = Math.max(service.size, least);
      service.settled = service.settled.then(() => this.#fill(service));
    }
  }

  async remove(id: string): Promise<void> {
    const service = this.#services.get(id);
    this.#services.delete(id);
    if (service === undefined) return;
    service.size = 0;
    await service.settled;
    await this.#stop(service, service.tasks);
  }

  /** The tasks that a load balancer sends requests to. */
  targetsOf(targetGroupArn: string): EcsTask[] {
    return this.services
      .filter(({ inputs }) => inputs.loadBalancers.some((balancer) => balancer.targetGroupArn === targetGroupArn))
      .flatMap(({ tasks }) => tasks.map(({ task }) => task));
  }

  /** A log stream's lines. */
  logOf(stream: string): readonly string[] {
    for (const { taskArn = "", logs } of this.services.flatMap(({ ended }) => ended)) {
      const container = Object.keys(logs).find((name) => logStream(name, taskArn) === stream);
      if (container !== undefined) return logs[container] ?? [];
    }
    throw new Error("ResourceNotFoundException: The specified log stream does not exist.");
  }

  #deploy(service: Running, taskDefinition: string): void {
    const before = service.deployments;
    const id = `ecs-svc/${++this.#deployed}`;
    const deployment: Deployment = { id, taskDefinition, status: "PRIMARY", rolloutState: "IN_PROGRESS" };
    service.deployments = [deployment, ...before.map((each) => ({ ...each, status: "ACTIVE" }))];
    service.settled = service.settled.then(() => this.#roll(service, deployment, before[0]));
  }

  /** New before old; undone, if it can be, once too many tasks have failed. */
  async #roll(service: Running, deployment: Deployment, before: Deployment | undefined): Promise<void> {
    const old = service.tasks;
    const { taskDefinition = "" } = deployment;
    for (let failed = 0; service.tasks.length < old.length + service.size && service.size > 0;) {
      if (await this.#start(service, taskDefinition)) continue;
      if (++failed < breaker) continue;
      Object.assign(deployment, {
        rolloutState: "FAILED",
        rolloutStateReason: "ECS deployment circuit breaker: tasks failed to start.",
      });
      if (before === undefined) return;
      await this.#stop(
        service,
        service.tasks.filter((each) => !old.includes(each)),
      );
      const reason = "ECS deployment circuit breaker: rolling back to the deployment before.";
      service.deployments = [{ ...before, status: "PRIMARY", rolloutState: "COMPLETED", rolloutStateReason: reason }];
      return;
    }
    await this.#stop(service, old);
    Object.assign(deployment, { rolloutState: "COMPLETED", rolloutStateReason: "ECS deployment completed." });
    service.deployments = [deployment];
  }

  async #fill(service: Running): Promise<void> {
    const [primary] = service.deployments;
    while (service.tasks.length < service.size) {
      if (!(await this.#start(service, primary?.taskDefinition ?? ""))) await sleep(1000);
    }
  }

  /** @returns whether it became healthy */
  async #start(service: Running, taskDefinition: string): Promise<boolean> {
    const task = new EcsTask(this.#account.containerDefinitions(taskDefinition), this.#account.label);
    try {
      for (const { image } of task.containers) await pull(image);
      await task.start((valueFrom) => this.#account.secretField(valueFrom));
      await task.ready();
      service.tasks = [...service.tasks, { task, taskDefinition }];
      return true;
    } catch (error) {
      const logs: Record<string, string[]> = {};
      for (const { name } of task.containers) logs[name] = await task.log(name);
      service.ended.unshift({
        taskArn: `arn:aws:ecs:${region}:${account}:task/${service.inputs.name}/${task.id}`,
        taskDefinitionArn: taskDefinition,
        stoppedReason: (error as Error).message.split("\n", 1)[0],
        containers: [{ name: "server", exitCode: 1 }],
        logs,
      });
      await task.remove();
      return false;
    }
  }

  /** As if no request ran any more: what stopping does with them is another test's. */
  async #stop(service: Running, leaving: Running["tasks"]): Promise<void> {
    service.tasks = service.tasks.filter((each) => !leaving.includes(each));
    for (const { task } of leaving) await task.remove();
  }
}

/** Asks the registry, as an instance does whose disk is empty. */
async function pull(image: string): Promise<void> {
  const authconfig = { ...login, serveraddress: image.split("/", 1)[0] ?? "" };
  await follow(await docker.pull(image, { authconfig }));
}
