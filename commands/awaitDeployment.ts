/**
 * Run by EcsService's command: waits until ECS has rolled out the task definition, again if an earlier rollout failed. If
 * ECS gives up, it says why, with the stopped tasks' reasons and the last lines of their logs. The environment variable
 * AWAIT_DEPLOYMENT says what to wait for.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CloudWatchLogsClient, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import { z } from "zod";
import type { Deployment, StoppedTask } from "../components/aws/service/explain.ts";
import { culprit, describeTask, logStream } from "../components/aws/service/explain.ts";
import { awaitRollout } from "../components/aws/service/rollout.ts";

const { region, cluster, service, taskDefinition, logGroup, timeout } = z
  .object({
    region: z.string(),
    cluster: z.string(),
    service: z.string(),
    taskDefinition: z.string(),
    logGroup: z.string(),
    timeout: z.number(),
  })
  .parse(JSON.parse(process.env.AWAIT_DEPLOYMENT ?? "{}"));
/** Seconds; shorter in tests. */
const interval = Number(process.env.AWAIT_INTERVAL ?? 10);
const ecs = new ECSClient({ region });
const logs = new CloudWatchLogsClient({ region });
const shownTasks = 2;
const shownLines = 15;

const deadline = Date.now() + timeout * 1000;
const verdict = await awaitRollout(taskDefinition, { look, redeploy, pause });
if (verdict.state !== "done") {
  const why = verdict.state === "failed" ? verdict.why : `not finished after ${timeout} s; ECS goes on with it`;
  console.error([`service ${service}: the deployment failed: ${why}`, ...(await explanation())].join("\n"));
  process.exitCode = 1;
}

async function look(): Promise<readonly Deployment[]> {
  const { services } = await ecs.send(new DescribeServicesCommand({ cluster, services: [service] }));
  return services?.[0]?.deployments ?? [];
}

async function redeploy(): Promise<string | undefined> {
  const again = new UpdateServiceCommand({ cluster, service, taskDefinition, forceNewDeployment: true });
  const { service: updated } = await ecs.send(again);
  return updated?.deployments?.find(({ status }) => status === "PRIMARY")?.id;
}

async function pause(): Promise<boolean> {
  if (Date.now() >= deadline) return false;
  await sleep(interval * 1000);
  return true;
}

/** What AWS still knows about stopped tasks, which it lists for an hour, and their logs. */
async function explanation(): Promise<string[]> {
  const listed = await ecs.send(new ListTasksCommand({ cluster, serviceName: service, desiredStatus: "STOPPED" }));
  if (listed.taskArns === undefined || listed.taskArns.length === 0)
    return ["  no task of it ended: see the service's events"];
  const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: listed.taskArns.slice(0, 100) }));
  const own = tasks.filter(({ taskDefinitionArn }) => taskDefinitionArn === taskDefinition).slice(0, shownTasks);
  const lines = await Promise.all(own.map(async (task) => [`  ${describeTask(task)}`, ...(await lastWords(task))]));
  return lines.flat();
}

async function lastWords(task: StoppedTask): Promise<string[]> {
  const logStreamName = logStream(culprit(task), task.taskArn ?? "");
  const command = new GetLogEventsCommand({ logGroupName: logGroup, logStreamName, limit: shownLines });
  // A container that never started has no stream.
  const { events = [] } = await logs.send(command).catch(() => ({ events: [] }));
  return events.map(({ message }) => `    ${message ?? ""}`);
}
