import { execa } from "execa";
import { once } from "node:events";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Answer } from "../../support/awsQuery.ts";
import { queryError, queryResponse } from "../../support/awsQuery.ts";

/** Auto Scaling, Elastic Load Balancing and EC2, as far as the script asks them, in their own protocol. */
interface Aws {
  /** The template version and the types that the group has. */
  version: string;
  types: string[];
  /** What a refresh goes through, one state a question; the last one stays. */
  states: string[];
  /** The instances' template versions; all are in service. */
  instances: Record<string, string>;
  /** Which of them the load balancer holds for healthy. */
  healthy: string[];
  /** How many times to answer "too many requests" before anything else. */
  throttled: number;
  /** A refresh that somebody has begun before. */
  running: boolean;
  console: string;
  asked: { action: string; parameters: URLSearchParams }[];
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const request = {
  region: "eu-central-1",
  groupName: "bitnet-prod",
  templateId: "lt-0123",
  templateVersion: "8",
  instanceTypes: ["c7a.2xlarge", "m7a.2xlarge"],
  targetGroupArn: "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/fleet/0123",
};

function aws(changes: Partial<Aws> = {}): Aws {
  return {
    version: "7",
    types: ["c7a.2xlarge"],
    states: ["Pending", "InProgress", "Successful"],
    instances: { "i-new": "8" },
    healthy: ["i-new"],
    throttled: 0,
    running: false,
    console: "",
    asked: [],
    ...changes,
  };
}

/** Runs the script as Pulumi does, against a server that plays AWS. */
async function run(cloud: Aws) {
  const server = createServer((incoming, response) => {
    void (async () => {
      let body = "";
      for await (const chunk of incoming as AsyncIterable<Buffer>) body += chunk.toString();
      const parameters = new URLSearchParams(body);
      const action = parameters.get("Action") ?? "";
      cloud.asked.push({ action, parameters });
      if (cloud.throttled-- > 0) {
        response.writeHead(400, { "content-type": "text/xml" }).end(queryError("Throttling", "Rate exceeded"));
        return;
      }
      const text = queryResponse(parameters, answer(cloud, action));
      response.writeHead(200, { "content-type": "text/xml" }).end(text);
    })();
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return execa(process.execPath, ["components/aws/instanceRefresh/main.ts"], {
    env: {
      REFRESH: JSON.stringify(request),
      REFRESH_INTERVAL: "0.02",
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    },
    reject: false,
  });
}

function answer(cloud: Aws, action: string): Answer {
  switch (action) {
    case "DescribeInstanceRefreshes":
      return { InstanceRefreshes: refreshOf(cloud) };
    case "DescribeAutoScalingGroups": {
      const LaunchTemplate = {
        LaunchTemplateSpecification: {
          LaunchTemplateId: "lt-0123",
          LaunchTemplateName: "fleet",
          Version: cloud.version,
        },
        Overrides: cloud.types.map((InstanceType) => ({ InstanceType })),
      };
      const InstancesDistribution = { OnDemandBaseCapacity: 1 };
      const Instances = Object.entries(cloud.instances).map(([InstanceId, Version]) => ({
        InstanceId,
        LifecycleState: "InService",
        LaunchTemplate: { Version },
      }));
      const MixedInstancesPolicy = { LaunchTemplate, InstancesDistribution };
      return { AutoScalingGroups: [{ AutoScalingGroupName: "bitnet-prod", MixedInstancesPolicy, Instances }] };
    }
    case "StartInstanceRefresh":
      cloud.running = true;
      return { InstanceRefreshId: "refresh-1" };
    case "DescribeTargetHealth": {
      const healthy = cloud.healthy.map((Id) => ({ Target: { Id }, TargetHealth: { State: "healthy" } }));
      return { TargetHealthDescriptions: healthy };
    }
    case "GetConsoleOutput":
      return { output: Buffer.from(cloud.console).toString("base64") };
    default:
      throw new Error(`the script asked for ${action}`);
  }
}

function refreshOf(cloud: Aws): Answer[] {
  if (!cloud.running) return [];
  const Status = cloud.states.length > 1 ? (cloud.states.shift() ?? "") : (cloud.states[0] ?? "");
  if (Status === "Successful") Object.assign(cloud, { version: "8", types: request.instanceTypes });
  const reason = Status.startsWith("Rollback") ? { StatusReason: "instances failed to launch" } : {};
  return [{ InstanceRefreshId: "refresh-1", Status, ...reason }];
}

function started({ asked }: Aws): URLSearchParams[] {
  return asked.filter(({ action }) => action === "StartInstanceRefresh").map(({ parameters }) => parameters);
}

test("instances are replaced by the numbered version, new ones first, with rollback; then all have to be healthy", async () => {
  const cloud = aws();
  const { exitCode, stdout } = await run(cloud);
  expect([exitCode, stdout.split("\n").at(-1)]).toEqual([0, "1 healthy, all of version 8"]);
  const [parameters] = started(cloud);
  expect(Object.fromEntries(parameters ?? [])).toMatchObject({
    "Preferences.MinHealthyPercentage": "100",
    "Preferences.MaxHealthyPercentage": "150",
    "Preferences.AutoRollback": "true",
    "DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId": "lt-0123",
    "DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version": "8",
    "DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.Overrides.member.2.InstanceType": "m7a.2xlarge",
    "DesiredConfiguration.MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity": "1",
  });
});

test("a group that is as it should be is left alone", async () => {
  const cloud = aws({ version: "8", types: request.instanceTypes });
  expect(await run(cloud)).toMatchObject({ exitCode: 0, stdout: "1 healthy, all of version 8" });
  expect(started(cloud)).toEqual([]);
});

test("a rollback fails the update, with AWS's reason and the new instance's last console lines", async () => {
  const console = Array.from({ length: 100 }, (_, line) => `console line ${line}`).join("\n");
  const { exitCode, stderr } = await run(
    aws({ states: ["InProgress", "InProgress", "RollbackInProgress", "RollbackSuccessful"], console }),
  );
  expect(exitCode).toBe(1);
  expect(stderr).toContain("what ran before runs again: instances failed to launch");
  expect(stderr).toContain("the console of i-new:");
  expect(stderr).toContain("console line 99");
  expect(stderr).not.toContain("console line 9\n");
});

test("the next update tries again", async () => {
  const cloud = aws({ states: ["RollbackSuccessful"] });
  expect((await run(cloud)).exitCode).toBe(1);
  Object.assign(cloud, { running: false, states: ["Successful"] });
  expect((await run(cloud)).exitCode).toBe(0);
  expect(started(cloud)).toHaveLength(2);
});

test("a replacement that an interrupted update has begun is waited for first", async () => {
  const cloud = aws({ running: true, states: ["InProgress", "InProgress", "Successful"] });
  const { exitCode, stdout } = await run(cloud);
  expect([exitCode, stdout.split("\n")[0]]).toEqual([
    0,
    "a replacement that was begun earlier is still under way; waiting for it",
  ]);
  expect(started(cloud)).toEqual([]);
});

test("throttling is waited out", async () => {
  const cloud = aws({ throttled: 2 });
  expect((await run(cloud)).exitCode).toBe(0);
  expect(cloud.asked.length).toBeGreaterThan(4);
});

test("an instance that the load balancer does not hold for healthy, or of an older version, fails the update by name", async () => {
  const instances = { "i-new": "8", "i-sick": "8", "i-old": "7" };
  const { exitCode, stderr } = await run(aws({ instances, healthy: ["i-new", "i-old"] }));
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/of an older version: i-old, not healthy at the load balancer: i-sick/);
});
