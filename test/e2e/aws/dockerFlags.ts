import type { ContainerDefinition } from "../../../components/aws/service/taskDefinition.ts";

/** What only the machine that a task runs on knows. */
export interface Placement {
  /** The container whose network the task's containers share, as ECS's pause container. */
  network: string;
  /** The container's name on the engine. */
  name: string;
  labels: readonly string[];
  /** The text behind a `valueFrom`. */
  secretOf: (valueFrom: string) => string;
  /** Whether the engine may raise the limit for locked memory. Where it may not, IPC_LOCK alone locks the model. */
  raisesMemlock: boolean;
}

/**
 * A container of a registered task definition as `docker run` takes it: what ECS's agent does with each field
 * (github.com/aws/amazon-ecs-agent, agent/api/task/task.go). Logs stay on the engine.
 */
export function dockerFlags(container: ContainerDefinition, placement: Placement): string[] {
  const { environment, secrets, linuxParameters, ulimits, healthCheck, restartPolicy } = container;
  const variables = [
    ...environment,
    ...secrets.map(({ name, valueFrom }) => ({ name, value: placement.secretOf(valueFrom) })),
  ];
  return [
    `--name=${placement.name}`,
    ...placement.labels.map((label) => `--label=${label}`),
    `--network=container:${placement.network}`,
    ...variables.map(({ name, value }) => `--env=${name}=${value}`),
    ...(container.readonlyRootFilesystem ? ["--read-only"] : []),
    ...container.dockerSecurityOptions.map((option) => `--security-opt=${option}`),
    ...linuxParameters.capabilities.drop.map((capability) => `--cap-drop=${capability}`),
    ...linuxParameters.capabilities.add.map((capability) => `--cap-add=${capability}`),
    ...linuxParameters.tmpfs.map(
      ({ containerPath, size, mountOptions }) => `--tmpfs=${containerPath}:${mountOptions.join(",")},size=${size}m`,
    ),
    ...ulimits
      .filter(({ name }) => name !== "memlock" || placement.raisesMemlock)
      .map(({ name, softLimit, hardLimit }) => `--ulimit=${name}=${softLimit}:${hardLimit}`),
    `--cpu-shares=${container.cpu}`,
    `--memory=${container.memory}m`,
    `--stop-timeout=${container.stopTimeout}`,
    ...(healthCheck === undefined
      ? []
      : [
          // CMD: the words of a command. The client knows a shell's line only.
          `--health-cmd=${healthCheck.command.slice(1).join(" ")}`,
          `--health-interval=${healthCheck.interval}s`,
          `--health-timeout=${healthCheck.timeout}s`,
          `--health-retries=${healthCheck.retries}`,
          `--health-start-period=${healthCheck.startPeriod}s`,
        ]),
    ...(restartPolicy.enabled ? ["--restart=unless-stopped"] : []),
    container.image,
  ];
}

/** The containers in the order in which they start, each after those that it depends on. They stop the other way round. */
export function startOrder(containers: readonly ContainerDefinition[]): ContainerDefinition[] {
  const ordered: ContainerDefinition[] = [];
  const add = (container: ContainerDefinition): void => {
    if (ordered.includes(container)) return;
    for (const { containerName } of container.dependsOn) {
      const needed = containers.find(({ name }) => name === containerName);
      if (needed === undefined) throw new Error(`${container.name} depends on ${containerName}, which is not there`);
      add(needed);
    }
    ordered.push(container);
  };
  for (const container of containers) add(container);
  return ordered;
}
