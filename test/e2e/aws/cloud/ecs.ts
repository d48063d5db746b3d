import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Deployment, StoppedTask } from "../../../../components/aws/service/explain.ts";
import { logStream } from "../../../../components/aws/service/explain.ts";
import type { ContainerDefinition } from "../../../../components/aws/service/taskDefinition.ts";
import { follow } from "../../../../offline/plugins/docker/pull.ts";
import { account, region, registryLogin } from "../../../program/aws.ts";
import { docker } from "../../support/docker.ts";
import { EcsTask } from "../ecsTask.ts";
import type { Clients } from "../clients.ts";

/** The part of a service, as it is described, that is looked at. */
interface Described {
  serviceName: string;
  taskDefinition: string;
  desiredCount: number;
  loadBalancers: { targetGroupArn: string }[];
}

interface Service extends Described {
  tasks: EcsTask[];
  deployments: Deployment[];
  /** Settles once the last deployment has ended. */
  settled: Promise<void>;
}

/** So many tasks may fail before the circuit breaker ends a deployment: ECS's least is three. */
const breaker = 3;

/** ECS's scheduler, which moto lacks: tasks are containers of this machine, with the rolling deployment and its circuit breaker. */
export class Ecs {
  /** On all containers. */
  readonly label = `bitnet-server.test-account=${randomBytes(4).toString("hex")}`;
  /** The tasks that ended by themselves, the newest first. */
  readonly ended: StoppedTask[] = [];
  readonly #clients: Clients;
  readonly #services = new Map<string, Service>();
  #deployed = 0;

  constructor(clients: Clients) {
    this.#clients = clients;
  }

  /** By action: what moto's answer leads to, and what is answered. */
  readonly calls: Readonly<Record<string, (input: never, answer: never) => object | Promise<object>>> = {
    CreateService: (_, { service }: { service: Described }) => {
      this.#services.set(service.serviceName, { ...service, tasks: [], deployments: [], settled: Promise.resolve() });
      return { service: this.#deploy(service) };
    },
    // Whatever has changed, as the provider is told to force a deployment.
    UpdateService: (_, { service }: { service: Described }) => ({ service: this.#deploy(service) }),
    DescribeServices: (_, { services }: { services: Described[] }) => ({
      services: services.map((service) => this.#describe(service)),
    }),
    DeleteService: async (_, answer: { service: Described }) => {
      await this.#remove(this.#find(answer.service.serviceName));
      return answer;
    },
    /** Application Auto Scaling: a service has no fewer tasks than its least. */
    RegisterScalableTarget: ({ MinCapacity }: { MinCapacity: number }, answer: object) => {
      for (const service of this.#services.values()) {
        service.desiredCount = Math.max(service.desiredCount, MinCapacity);
        service.settled = service.settled.then(() => this.#fill(service));
      }
      return answer;
    },
    ListTasks: () => ({ taskArns: this.ended.map(({ taskArn }) => taskArn) }),
    DescribeTasks: ({ tasks }: { tasks: string[] }) => ({
      tasks: this.ended.filter(({ taskArn = "" }) => tasks.includes(taskArn)),
    }),
  };

  get tasks(): EcsTask[] {
    return [...this.#services.values()].flatMap(({ tasks }) => tasks);
  }

  /** The containers of all tasks, by name. */
  async containers(): Promise<string[]> {
    const found = await docker.listContainers({ all: true, filters: { label: [this.label] } });
    return found.flatMap(({ Names }) => Names);
  }

  async close(): Promise<void> {
    for (const service of this.#services.values()) await this.#remove(service);
  }

  #find(name: string): Service {
    const service = this.#services.get(name);
    if (service === undefined) throw new Error(`ServiceNotFoundException: ${name}`);
    return service;
  }

  #describe(described: Described): object {
    const service = this.#services.get(described.serviceName);
    if (service === undefined) return described;
    const { tasks, deployments, desiredCount } = service;
    return { ...described, runningCount: tasks.length, desiredCount, deployments };
  }

  async #remove(service: Service): Promise<void> {
    this.#services.delete(service.serviceName);
    service.desiredCount = 0;
    await service.settled;
    await this.#stop(service, service.tasks);
  }

  #deploy(described: Described): object {
    const { taskDefinition } = described;
    const service = this.#find(described.serviceName);
    const before = service.deployments;
    const id = `ecs-svc/${++this.#deployed}`;
    const deployment: Deployment = { id, taskDefinition, status: "PRIMARY", rolloutState: "IN_PROGRESS" };
    service.deployments = [deployment, ...before.map((each) => ({ ...each, status: "ACTIVE" }))];
    service.settled = service.settled.then(() => this.#roll(service, deployment, before[0]));
    return this.#describe(described);
  }

  /** New before old; undone, if it can be, once too many tasks have failed. */
  async #roll(service: Service, deployment: Deployment, before: Deployment | undefined): Promise<void> {
    const old = service.tasks;
    const { taskDefinition = "" } = deployment;
    for (let failed = 0; service.tasks.length < old.length + service.desiredCount && service.desiredCount > 0;) {
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

  /** Of a deployment that the circuit breaker has ended, ECS starts no more tasks. */
  async #fill(service: Service): Promise<void> {
    const [primary] = service.deployments;
    if (primary?.taskDefinition === undefined || primary.rolloutState === "FAILED") return;
    while (service.tasks.length < service.desiredCount) {
      if (!(await this.#start(service, primary.taskDefinition))) await sleep(1000);
    }
  }

  /** @returns whether it became healthy, and so a target of the load balancer */
  async #start(service: Service, taskDefinition: string): Promise<boolean> {
    const registered = await this.#clients.ecs.describeTaskDefinition({ taskDefinition });
    const task = new EcsTask(JSON.stringify(registered.taskDefinition?.containerDefinitions), this.label);
    try {
      for (const { image } of task.containers) await pull(image);
      const secrets = await this.#secretsOf(task.containers);
      await task.start((valueFrom) => secrets.get(valueFrom) ?? "");
      await task.ready();
      await this.#clients.elb.registerTargets(targets(service, [task]));
      service.tasks = [...service.tasks, task];
      return true;
    } catch (error) {
      await this.#bury(service, task, { taskDefinitionArn: taskDefinition, stoppedReason: (error as Error).message });
      return false;
    }
  }

  /** What stays of a task that has failed: why, and what its containers said. */
  async #bury(service: Service, task: EcsTask, why: StoppedTask): Promise<void> {
    const taskArn = `arn:aws:ecs:${region}:${account}:task/${service.serviceName}/${task.id}`;
    for (const { name, logConfiguration } of task.containers) {
      const logGroupName = logConfiguration.options["awslogs-group"];
      const stream = { logGroupName, logStreamName: logStream(name, taskArn) };
      const lines = (await task.log(name)).filter((line) => line !== "");
      await this.#clients.logs.createLogStream(stream);
      const logEvents = lines.map((message) => ({ message, timestamp: Date.now() }));
      await this.#clients.logs.putLogEvents({ ...stream, logEvents });
    }
    const stoppedReason = why.stoppedReason?.split("\n", 1)[0];
    this.ended.unshift({ ...why, taskArn, stoppedReason, containers: [{ name: "server", exitCode: 1 }] });
    await task.remove();
  }

  /** By `valueFrom`, which is a secret's ARN, a field, nothing, and a version: docs.aws.amazon.com, "secrets-envvar-secrets-manager". */
  async #secretsOf(containers: readonly ContainerDefinition[]): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const { valueFrom } of containers.flatMap(({ secrets }) => secrets)) {
      const [, SecretId, field = "", VersionId] = /^(arn:(?:[^:]*:){5}[^:]*):([^:]*)::([^:]*)$/.exec(valueFrom) ?? [];
      const { SecretString = "" } = await this.#clients.secrets.getSecretValue({ SecretId, VersionId });
      found.set(valueFrom, (JSON.parse(SecretString) as Record<string, string>)[field] ?? "");
    }
    return found;
  }

  /** As if no request ran any more: what stopping does with them is another test's. */
  async #stop(service: Service, leaving: readonly EcsTask[]): Promise<void> {
    service.tasks = service.tasks.filter((each) => !leaving.includes(each));
    if (leaving.length > 0) await this.#clients.elb.deregisterTargets(targets(service, leaving));
    for (const task of leaving) await task.remove();
  }
}

/** moto tells targets apart by their addresses: on loopback each has one of its own, drawn from its port. */
function targets({ loadBalancers: [balancer] }: Service, tasks: readonly EcsTask[]) {
  const Targets = tasks.map(({ port }) => ({ Id: `127.0.${port >> 8}.${port & 255}`, Port: port }));
  return { TargetGroupArn: balancer?.targetGroupArn, Targets };
}

/** Asks the registry, as an instance does whose disk is empty. */
async function pull(image: string): Promise<void> {
  const authconfig = { ...registryLogin, serveraddress: image.split("/", 1)[0] ?? "" };
  await follow(await docker.pull(image, { authconfig }));
}
