import { PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import { DescribeServicesCommand } from "@aws-sdk/client-ecs";
import { DeregisterTargetsCommand, RegisterTargetsCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { DeleteScalingPolicyCommand, DescribeScalingPoliciesCommand } from "@aws-sdk/client-application-auto-scaling";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { LiveStack } from "../../../cli/verifyAws.ts";
import { describeChecks, verifyAws } from "../../../cli/verifyAws.ts";
import { metricNamespace } from "../../../components/aws/metrics.ts";
import { region } from "../../program/aws.ts";
import type { WebServer } from "../../unit/model/webServer.ts";
import { startWebServer } from "../../unit/model/webServer.ts";
import type { Clients } from "./clients.ts";
import { deploy } from "./deploy.ts";
import type { Moto } from "./moto.ts";
import { runningTasks, startMoto } from "./moto.ts";

let moto: Moto;
/** What a stack's URL leads to. */
let server: WebServer;
const key = "key-0123";

beforeAll(async () => {
  moto = await startMoto();
  vi.stubEnv("AWS_ENDPOINT_URL", moto.endpoint);
  vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
  server = await startWebServer(({ url = "", headers }, response) => {
    const isRefused = url !== "/health" && headers.authorization !== `Bearer ${key}`;
    const choices = [{ index: 0, message: { role: "assistant", content: "Hello." }, finish_reason: "stop" }];
    response.writeHead(isRefused ? 401 : 200, { "content-type": "application/json" }).end(JSON.stringify({ choices }));
  });
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await server.close();
  await moto.stop();
});

/** A stack as the program makes it; nothing has happened in it yet. */
async function stackOf(minReplicas: number): Promise<{ stack: LiveStack; clients: Clients; TargetGroupArn: string }> {
  const { run, clients } = await deploy(moto, { minReplicas: String(minReplicas), maxReplicas: "4" });
  const service = String(run.outputs.service);
  const { services } = await clients.ecs.send(new DescribeServicesCommand({ cluster: service, services: [service] }));
  const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key });
  const stack = { region, service, healthUrl: `${server.url}/health`, model: "bitnet", openai };
  return { stack, clients, TargetGroupArn: services?.[0]?.loadBalancers?.[0]?.targetGroupArn ?? "" };
}

async function seen(stack: LiveStack): Promise<Record<string, [ok: boolean, seen: string]>> {
  return Object.fromEntries((await verifyAws(stack)).map((check) => [check.what, [check.ok, check.seen]]));
}

const contains = (text: string) => expect.stringContaining(text) as string;
const Targets = [
  { Id: "10.64.128.5", Port: 8000 },
  { Id: "10.64.144.5", Port: 8000 },
];

test("a stack that does what it should passes every check, each with what was seen; each fault fails its own", async () => {
  const { stack, clients, TargetGroupArn } = await stackOf(runningTasks);
  await clients.elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets }));
  const Dimensions = [{ Name: "ServiceName", Value: stack.service }];
  const MetricData = [{ MetricName: "Load", Dimensions, Value: 12.5, Timestamp: new Date(Date.now() - 90_000) }];
  await clients.cloudWatch.send(new PutMetricDataCommand({ Namespace: metricNamespace, MetricData }));
  expect(await seen(stack)).toEqual({
    deployment: [true, "done; 2 of 2 tasks run"],
    targets: [true, "2 of 2 targets are healthy"],
    metrics: [true, contains("Load was 12.5 % at 20")],
    scaling: [true, "2 to 4 tasks, by Load at 70 %"],
    health: [true, `${stack.healthUrl} answers 200`],
    "no key": [true, "a request without a key is answered with 401"],
    answer: [true, contains('"Hello." after ')],
  });
  expect(describeChecks(await verifyAws(stack))).toMatch(
    /^✓ deployment {2}done; 2 of 2 tasks run\n✓ targets {5}2 of 2/,
  );

  await clients.elb.send(new DeregisterTargetsCommand({ TargetGroupArn, Targets }));
  const ofService = { ServiceNamespace: "ecs", ScalableDimension: "ecs:service:DesiredCount" } as const;
  const { ScalingPolicies = [] } = await clients.scaling.send(new DescribeScalingPoliciesCommand(ofService));
  for (const { PolicyName, ResourceId } of ScalingPolicies) {
    await clients.scaling.send(new DeleteScalingPolicyCommand({ ...ofService, PolicyName, ResourceId }));
  }
  const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "another-key" });
  const faulty = await seen({ ...stack, openai, healthUrl: "http://127.0.0.1:9/health" });
  expect(faulty).toMatchObject({
    targets: [false, "0 of 0 targets are healthy"],
    scaling: [false, "2 to 4 tasks, without a target tracking policy"],
    health: [false, contains("fetch failed")],
    answer: [false, contains("401")],
  });
  expect(faulty.deployment?.[0]).toBe(true);
});

test("a rollout that has not ended, and metrics that do not come, are no success", async () => {
  const { stack } = await stackOf(runningTasks + 1);
  expect(await seen(stack)).toMatchObject({
    deployment: [false, "pending; 2 of 3 tasks run"],
    metrics: [false, contains("no Load of ServiceName bitnet-")],
    scaling: [true, "3 to 4 tasks, by Load at 70 %"],
  });
});

test("a service that is not there fails what is about it, and no other check", async () => {
  const { stack } = await stackOf(runningTasks);
  const found = await seen({ ...stack, service: "bitnet-nothing" });
  expect(found.deployment).toMatchObject([false, contains("Cluster not found")]);
  expect([found.targets?.[0], found.answer?.[0]]).toEqual([false, true]);
});
