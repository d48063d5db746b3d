/** The part of AWS's answer about a service's deployments that is used: docs.aws.amazon.com, API_Deployment. */
export interface Deployment {
  id?: string | undefined;
  taskDefinition?: string | undefined;
  status?: string | undefined;
  rolloutState?: string | undefined;
  rolloutStateReason?: string | undefined;
}

/** A task that has ended: API_Task. */
export interface StoppedTask {
  taskArn?: string | undefined;
  taskDefinitionArn?: string | undefined;
  stoppedReason?: string | undefined;
  containers?:
    | readonly {
        name?: string | undefined;
        exitCode?: number | undefined;
        reason?: string | undefined;
      }[]
    | undefined;
}

export type Verdict = { state: "pending" } | { state: "done" } | { state: "failed" | "missing"; why: string };

/** The deployment in question: any of the task definition, or a single one by its id. */
export interface Wanted {
  /** The ARN. */
  taskDefinition: string;
  deployment?: string | undefined;
}

/**
 * A deployment's state. A service that was rolled back is as steady as one that was updated, so whoever waits only for
 * a steady state takes it for a success (terraform-provider-aws, issues 19519 and 20858). The task definition tells
 * them apart. "missing": there is no such deployment. It was rolled back, or ECS, which is eventually consistent, does
 * not show it yet.
 */
export function judge(deployments: readonly Deployment[], wanted: Wanted): Verdict {
  const own = deployments.find(({ id, taskDefinition }) =>
    wanted.deployment === undefined ? taskDefinition === wanted.taskDefinition : id === wanted.deployment,
  );
  const primary = deployments.find(({ status }) => status === "PRIMARY");
  const unexplained = "ECS gives no reason";
  if (own === undefined) return { state: "missing", why: primary?.rolloutStateReason ?? unexplained };
  if (own.rolloutState === "FAILED" || (primary !== undefined && own.status !== "PRIMARY")) {
    const why = own.rolloutState === "FAILED" ? own.rolloutStateReason : primary?.rolloutStateReason;
    return { state: "failed", why: why ?? unexplained };
  }
  return { state: own.rolloutState === "COMPLETED" ? "done" : "pending" };
}

/** One line for a task: AWS's reason, and how its containers ended. */
export function describeTask({ taskArn = "", stoppedReason, containers = [] }: StoppedTask): string {
  const ended = containers
    .filter(({ exitCode, reason }) => reason !== undefined || (exitCode !== undefined && exitCode !== 0))
    .map(({ name = "", exitCode, reason }) => `${name}: ${reason ?? `exit code ${exitCode ?? ""}`}`);
  return [`task ${idOf(taskArn)}: ${stoppedReason ?? "ended"}`, ...ended].join("; ");
}

/** The last part of an ARN. */
export function idOf(arn: string): string {
  return arn.slice(arn.lastIndexOf("/") + 1);
}

/** The container whose log explains why a task ended: the first that failed, or the server. */
export function culprit({ containers = [] }: StoppedTask): string {
  return containers.find(({ exitCode }) => exitCode !== undefined && exitCode !== 0)?.name ?? "server";
}

/** The log stream of a task's container, as the log driver names it: prefix/container/task. */
export function logStream(container: string, taskArn: string): string {
  return `task/${container}/${idOf(taskArn)}`;
}
