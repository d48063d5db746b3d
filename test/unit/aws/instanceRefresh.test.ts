import { execa } from "execa";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import type { RefreshRequest } from "../../../components/aws/instanceRefresh.ts";
import { connect, describeFailure, refresh } from "../../../components/aws/instanceRefresh.ts";
import type { Answer } from "../../support/awsQuery.ts";
import { queryError, queryResponse } from "../../support/awsQuery.ts";

/** Auto Scaling, Elastic Load Balancing and EC2, as far as the script asks them, in their own protocol. */
interface Aws {
  /** Whose group it is; undefined: there is none of that name. */
  account: string | undefined;
  /** The template version, the types and the distribution that the group has. */
  version: string;
  types: string[];
  onDemand: { base: number; percentageAbove: number };
  /** What a refresh goes through, one state a question; the last one stays. */
  states: string[];
  /** The instances' template versions, all of which are in service but those that are starting. */
  instances: Record<string, string>;
  starting: string[];
  /** Which of them the load balancer holds for healthy. */
  healthy: string[];
  /** The reasons of starts that failed before the script looked, and of one more at every look. */
  failedBefore: string[];
  failing: string[];
  /** Which requests, counted from 0, are answered by "too many requests". */
  throttled: number[];
  /** A refresh that somebody has begun before. */
  running: boolean;
  /** Of instances that are there, and of those that are gone. */
  console: string;
  lastConsole: string;
  asked: { action: string; parameters: URLSearchParams }[];
  /** Is called before each answer. */
  before: (action: string) => void;
}

const request = {
  region: "eu-central-1",
  accountId: "123456789012",
  groupName: "bitnet-prod",
  templateId: "lt-0123",
  templateVersion: "8",
  instanceTypes: ["c7a.2xlarge", "m7a.2xlarge"],
  minReplicas: 1,
  spot: 0,
  launchTimeout: 60,
  targetGroupArn: "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/fleet/0123",
};

function aws(changes: Partial<Aws> = {}): Aws {
  return {
    account: request.accountId,
    version: "7",
    types: ["c7a.2xlarge"],
    onDemand: { base: 1, percentageAbove: 100 },
    states: ["Pending", "InProgress", "Successful"],
    instances: { "i-new": "8" },
    starting: [],
    healthy: ["i-new"],
    failedBefore: [],
    failing: [],
    throttled: [],
    running: false,
    console: "",
    lastConsole: "",
    asked: [],
    before: () => undefined,
    ...changes,
  };
}

/** A group that has all that is requested. */
function ready(changes: Partial<Aws> = {}): Aws {
  return aws({ version: "8", types: request.instanceTypes, ...changes });
}

/** A server that plays AWS. */
async function serve(cloud: Aws) {
  const server = createServer((incoming, response) => {
    void (async () => {
      let body = "";
      for await (const chunk of incoming as AsyncIterable<Buffer>) body += chunk.toString();
      const parameters = new URLSearchParams(body);
      const action = parameters.get("Action") ?? "";
      cloud.asked.push({ action, parameters });
      const refuse = (code: string, message: string) =>
        response.writeHead(400, { "content-type": "text/xml" }).end(queryError(code, message));
      if (cloud.throttled.includes(cloud.asked.length - 1)) {
        refuse("Throttling", "Rate exceeded");
        return;
      }
      cloud.before(action);
      if (cloud.account === undefined && action !== "DescribeAutoScalingGroups") {
        refuse("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup bitnet-prod not found");
        return;
      }
      const text = queryResponse(parameters, answer(cloud, action, parameters));
      response.writeHead(200, { "content-type": "text/xml" }).end(text);
    })();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { endpoint, [Symbol.dispose]: () => void server.close() };
}

/** Does in this process what the script does. */
async function run(cloud: Aws, requested: Partial<RefreshRequest> = {}) {
  using server = await serve(cloud);
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const clients = connect({ region: request.region, endpoint: server.endpoint, credentials });
  const lines: string[] = [];
  const outcome = { exitCode: 0, stderr: "" };
  try {
    lines.push(
      await refresh({ ...request, ...requested }, clients, { interval: 0.02 }, (line) => {
        lines.push(line);
      }),
    );
  } catch (error) {
    Object.assign(outcome, { exitCode: 1, stderr: describeFailure(error as Error) });
  }
  return { ...outcome, stdout: lines.join("\n") };
}

/** Runs the script as Pulumi does. */
async function runScript(cloud: Aws, environment: Record<string, string> = {}) {
  using server = await serve(cloud);
  return await execa(process.execPath, ["commands/instanceRefresh.ts"], {
    env: {
      REFRESH: JSON.stringify(request),
      REFRESH_INTERVAL: "0.02",
      AWS_ENDPOINT_URL: server.endpoint,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      // AWS's clients are compiled once, not by each of these processes.
      NODE_COMPILE_CACHE: ".state/compiled",
      ...environment,
    },
    reject: false,
  });
}

function answer(cloud: Aws, action: string, parameters: URLSearchParams): Answer {
  switch (action) {
    case "DescribeInstanceRefreshes":
      return { InstanceRefreshes: refreshOf(cloud) };
    case "DescribeAutoScalingGroups":
      return { AutoScalingGroups: cloud.account === undefined ? [] : [groupOf(cloud, cloud.account)] };
    case "StartInstanceRefresh":
      cloud.running = true;
      return { InstanceRefreshId: "refresh-1" };
    case "UpdateAutoScalingGroup": {
      const policy = (name: string) => parameters.get(`MixedInstancesPolicy.${name}`) ?? "";
      cloud.version = policy("LaunchTemplate.LaunchTemplateSpecification.Version");
      const base = Number(policy("InstancesDistribution.OnDemandBaseCapacity"));
      const percentageAbove = Number(policy("InstancesDistribution.OnDemandPercentageAboveBaseCapacity"));
      cloud.onDemand = { base, percentageAbove };
      return {};
    }
    case "TerminateInstances":
      return {};
    case "DescribeScalingActivities":
      return { Activities: activitiesOf(cloud) };
    case "DescribeTargetHealth": {
      const healthy = cloud.healthy.map((Id) => ({ Target: { Id }, TargetHealth: { State: "healthy" } }));
      return { TargetHealthDescriptions: healthy };
    }
    case "GetConsoleOutput": {
      const text = parameters.get("Latest") === "true" ? cloud.console : cloud.lastConsole;
      return { output: Buffer.from(text).toString("base64") };
    }
    default:
      throw new Error(`the script asked for ${action}`);
  }
}

function groupOf({ version, types, onDemand, instances, starting }: Aws, account: string): Answer {
  const LaunchTemplate = {
    LaunchTemplateSpecification: { LaunchTemplateId: "lt-0123", LaunchTemplateName: "fleet", Version: version },
    Overrides: types.map((InstanceType) => ({ InstanceType })),
  };
  const InstancesDistribution = {
    OnDemandBaseCapacity: onDemand.base,
    OnDemandPercentageAboveBaseCapacity: onDemand.percentageAbove,
    SpotAllocationStrategy: "price-capacity-optimized",
  };
  return {
    AutoScalingGroupName: request.groupName,
    AutoScalingGroupARN: `arn:aws:autoscaling:eu-central-1:${account}:autoScalingGroup:0123:autoScalingGroupName/bitnet-prod`,
    MixedInstancesPolicy: { LaunchTemplate, InstancesDistribution },
    Instances: Object.entries(instances).map(([InstanceId, Version]) => ({
      InstanceId,
      LifecycleState: starting.includes(InstanceId) ? "Pending:Wait" : "InService",
      LaunchTemplate: { Version },
    })),
  };
}

/** The newest first, as AWS lists them. */
function activitiesOf({ failedBefore, failing, asked }: Aws): Answer[] {
  const looks = asked.filter(({ action }) => action === "DescribeScalingActivities").length;
  const failed = [...failedBefore, ...failing.slice(0, looks - 1)].map((reason, index) => ({
    ActivityId: `activity-${index}`,
    Description: `Launching a new EC2 instance: i-${index}.  Status Reason: ${reason}`,
    StatusCode: "Cancelled",
    StatusMessage: reason,
  }));
  const others = [
    { ActivityId: "another", Description: "Terminating EC2 instance: i-gone", StatusCode: "Failed" },
    { ActivityId: "one-more", Description: "Launching a new EC2 instance: i-new", StatusCode: "Successful" },
  ];
  return [...failed.toReversed(), ...others];
}

function refreshOf(cloud: Aws): Answer[] {
  if (!cloud.running) return [];
  const Status = cloud.states.length > 1 ? (cloud.states.shift() ?? "") : (cloud.states[0] ?? "");
  if (Status === "Successful") Object.assign(cloud, { version: "8", types: request.instanceTypes });
  const reason = /Rollback|Failed|Cancelled/.test(Status) ? { StatusReason: "instances failed to launch" } : {};
  return [{ InstanceRefreshId: "refresh-1", Status, ...reason }];
}

function requestsFor({ asked }: Aws, wanted: string): URLSearchParams[] {
  return asked.filter(({ action }) => action === wanted).map(({ parameters }) => parameters);
}

function started(cloud: Aws): URLSearchParams[] {
  return requestsFor(cloud, "StartInstanceRefresh");
}

test.concurrent(
  "instances are replaced by the numbered version, new ones first, with rollback; then all have to be healthy",
  async () => {
    const cloud = aws();
    const { exitCode, stdout } = await runScript(cloud);
    expect([exitCode, stdout.split("\n").at(-1)]).toEqual([0, "1 healthy, all of version 8"]);
    const [parameters] = started(cloud);
    expect(Object.fromEntries(parameters ?? [])).toMatchObject({
      "Preferences.MinHealthyPercentage": "100",
      "Preferences.MaxHealthyPercentage": "150",
      "Preferences.AutoRollback": "true",
      "DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId":
        "lt-0123",
      "DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version": "8",
      "DesiredConfiguration.MixedInstancesPolicy.LaunchTemplate.Overrides.member.2.InstanceType": "m7a.2xlarge",
      "DesiredConfiguration.MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity": "1",
    });
  },
);

test.concurrent("a group that is as it should be is left alone", async () => {
  const cloud = ready();
  expect(await run(cloud)).toMatchObject({ exitCode: 0, stdout: "1 healthy, all of version 8" });
  expect([started(cloud), requestsFor(cloud, "UpdateAutoScalingGroup")]).toEqual([[], []]);
});

test.concurrent.each<[string, Partial<RefreshRequest>, string, string]>([
  ["minReplicas", { minReplicas: 2 }, "2", "100"],
  ["spot", { spot: 60 }, "1", "40"],
])("another %s changes what later instances are, and neither the version nor those that run", async (...row) => {
  const [, requested, base, percentageAbove] = row;
  const cloud = ready({ instances: { "i-new": "8", "i-2": "8" }, healthy: ["i-new", "i-2"] });
  const { exitCode, stdout } = await run(cloud, requested);
  expect([exitCode, stdout]).toEqual([0, "2 healthy, all of version 8"]);
  expect(started(cloud)).toEqual([]);
  const [update, ...more] = requestsFor(cloud, "UpdateAutoScalingGroup");
  const { Action, Version, ...parameters } = Object.fromEntries(update ?? []);
  expect([Action, Version, more]).toEqual(["UpdateAutoScalingGroup", "2011-01-01", []]);
  expect(parameters).toEqual({
    AutoScalingGroupName: "bitnet-prod",
    "MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity": base,
    "MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity": percentageAbove,
    "MixedInstancesPolicy.InstancesDistribution.SpotAllocationStrategy": "price-capacity-optimized",
    "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId": "lt-0123",
    "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version": "8",
    "MixedInstancesPolicy.LaunchTemplate.Overrides.member.1.InstanceType": "c7a.2xlarge",
    "MixedInstancesPolicy.LaunchTemplate.Overrides.member.2.InstanceType": "m7a.2xlarge",
  });
});

test.concurrent("a replacement takes another minReplicas and spot along", async () => {
  const cloud = aws({ instances: { "i-new": "8", "i-2": "8" }, healthy: ["i-new", "i-2"] });
  expect((await run(cloud, { minReplicas: 2, spot: 60 })).exitCode).toBe(0);
  expect(requestsFor(cloud, "UpdateAutoScalingGroup")).toEqual([]);
  const policy = "DesiredConfiguration.MixedInstancesPolicy.InstancesDistribution";
  expect(Object.fromEntries(started(cloud)[0] ?? [])).toMatchObject({
    [`${policy}.OnDemandBaseCapacity`]: "2",
    [`${policy}.OnDemandPercentageAboveBaseCapacity`]: "40",
  });
});

test.concurrent("as many as minReplicas are waited for, and said", async () => {
  const cloud = ready({ onDemand: { base: 2, percentageAbove: 100 } });
  cloud.before = () => {
    if (cloud.asked.length < 12) return;
    Object.assign(cloud, { instances: { "i-new": "8", "i-2": "8" }, healthy: ["i-new", "i-2"] });
  };
  const { exitCode, stdout } = await run(cloud, { minReplicas: 2 });
  expect([exitCode, stdout.split("\n").at(-1)]).toEqual([0, "2 healthy, all of version 8"]);
  expect(stdout).toContain("1 in service of at least 2");
});

test.concurrent("fewer than minReplicas fail the update in the end, with the console of what is starting", async () => {
  const instances = { "i-new": "8", "i-2": "8" };
  const cloud = ready({
    onDemand: { base: 2, percentageAbove: 100 },
    instances,
    starting: ["i-2"],
    console: "loading",
  });
  const { exitCode, stderr } = await run(cloud, { minReplicas: 2, launchTimeout: 0.5 });
  expect(exitCode).toBe(1);
  expect(stderr).toContain("after 1 s not all instances take requests: 1 in service of at least 2");
  expect(stderr).toContain("the console of i-2:\nloading");
});

test.concurrent(
  "a first version that does not start fails the update with AWS's reason and the instance's last lines",
  async () => {
    const abandoned = "Lifecycle Action Completed with ABANDON Result";
    const cloud = ready({ instances: {}, healthy: [], failedBefore: ["long ago"], failing: [abandoned, abandoned] });
    cloud.lastConsole = "llama-server: no such file";
    const { exitCode, stderr } = await run(cloud);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`instances of version 8 do not start: ${abandoned}\n`);
    expect(stderr).toContain("the console of i-2:\nllama-server: no such file");
    expect(stderr).not.toContain("long ago");
  },
);

test.concurrent("one start that fails is no reason to give up", async () => {
  const cloud = ready({ healthy: [], failing: ["taken away"] });
  cloud.before = () => {
    if (requestsFor(cloud, "DescribeScalingActivities").length > 4) cloud.healthy = ["i-new"];
  };
  const { exitCode, stdout } = await run(cloud);
  expect([exitCode, stdout.split("\n").at(-1)]).toEqual([0, "1 healthy, all of version 8"]);
  expect(stdout).toContain("failed to start: 1");
});

test.concurrent(
  "where nothing is in service, nothing is replaced: the group starts the new version, and the old one is given up",
  async () => {
    const cloud = aws({ instances: { "i-old": "7" }, starting: ["i-old"] });
    cloud.before = (action) => {
      if (action === "TerminateInstances") Object.assign(cloud, { instances: { "i-new": "8" }, starting: [] });
    };
    expect(await run(cloud)).toMatchObject({ exitCode: 0, stdout: "1 healthy, all of version 8" });
    expect([cloud.version, started(cloud)]).toEqual(["8", []]);
    expect(requestsFor(cloud, "TerminateInstances")[0]?.get("InstanceId.1")).toBe("i-old");
  },
);

test.concurrent(
  "a rollback fails the update, with AWS's reason and the new instance's last console lines",
  async () => {
    const console = Array.from({ length: 100 }, (_, line) => `console line ${line}`).join("\n");
    const states = ["InProgress", "InProgress", "RollbackInProgress", "RollbackSuccessful"];
    const { exitCode, stderr } = await runScript(aws({ states, console }));
    expect(exitCode).toBe(1);
    expect(stderr).toContain("what ran before runs again: instances failed to launch");
    expect(stderr).toContain("the console of i-new:");
    expect(stderr).toContain("console line 99");
    expect(stderr).not.toContain("console line 9\n");
  },
);

test.concurrent("the next update tries again", async () => {
  const cloud = aws({ states: ["RollbackSuccessful"] });
  expect((await run(cloud)).exitCode).toBe(1);
  Object.assign(cloud, { running: false, states: ["Successful"] });
  expect((await run(cloud)).exitCode).toBe(0);
  expect(started(cloud)).toHaveLength(2);
});

test.concurrent("a replacement that an interrupted update has begun is waited for first", async () => {
  const cloud = aws({ running: true, states: ["InProgress", "InProgress", "Successful"] });
  const { exitCode, stdout } = await run(cloud);
  expect([exitCode, stdout.split("\n")[0]]).toEqual([
    0,
    "a replacement that was begun earlier is still under way; waiting for it",
  ]);
  expect(started(cloud)).toEqual([]);
});

test.concurrent.each([
  ["at first", [0, 1]],
  ["in the middle of a replacement", [4, 6, 7]],
  ["while all become healthy", [9, 10, 12]],
])("throttling %s is waited out", async (_, throttled) => {
  const cloud = aws({ throttled });
  const { exitCode, stdout } = await run(cloud);
  expect([exitCode, stdout.split("\n").at(-1)]).toEqual([0, "1 healthy, all of version 8"]);
  expect(cloud.asked.length).toBeGreaterThan(Math.max(...throttled) + 1);
});

test.concurrent.each(["Failed", "Cancelled", "RollbackFailed"])(
  "a replacement that ends as %s fails the update, and is not said to be undone",
  async (end) => {
    const { exitCode, stderr } = await run(aws({ states: ["InProgress", end], console: "out of memory" }));
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`ended as ${end}; look at the group's activity: instances failed to launch`);
    expect(stderr).toContain("the console of i-new:\nout of memory");
    expect(stderr).not.toContain("runs again");
  },
);

test.concurrent("a replacement that does not move any more is not waited for forever", async () => {
  const { exitCode, stderr } = await run(aws({ states: ["InProgress"] }), { launchTimeout: 0.25 });
  expect(exitCode).toBe(1);
  expect(stderr).toContain(
    "the replacement has not moved for 1 s (InProgress 0 %); the next update waits for it again",
  );
});

test.concurrent("a group that is gone is said to be, and what to do", async () => {
  const { exitCode, stderr } = await run(aws({ account: undefined }));
  expect(exitCode).toBe(1);
  expect(stderr).toContain("there is no Auto Scaling group bitnet-prod in eu-central-1");
  expect(stderr).toContain("pulumi refresh");
});

test.concurrent("a group that vanishes in the middle of a replacement fails the update", async () => {
  const cloud = aws({ states: ["InProgress"] });
  cloud.before = () => {
    if (requestsFor(cloud, "DescribeInstanceRefreshes").length > 3) cloud.account = undefined;
  };
  const { exitCode, stderr } = await run(cloud);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/AutoScalingGroup name not found|there is no Auto Scaling group bitnet-prod/);
});

test.concurrent.each([
  ["by a group of the same name", { account: "999999999999" }, {}],
  ["by the credentials themselves", { account: undefined }, { AWS_ACCOUNT_ID: "999999999999" }],
])("credentials of another account are told %s, and change nothing", async (_, changes, environment) => {
  const cloud = aws(changes);
  const { exitCode, stderr } = await runScript(cloud, environment);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("for the account 999999999999, and the stack is in 123456789012; give the rollout the same");
  expect(cloud.asked.map(({ action }) => action)).toEqual(["DescribeAutoScalingGroups"]);
});

test.concurrent("no credentials are told with what to do", async () => {
  const nowhere = { AWS_CONFIG_FILE: "/dev/null", AWS_SHARED_CREDENTIALS_FILE: "/dev/null" };
  const none = { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "", AWS_EC2_METADATA_DISABLED: "true", ...nowhere };
  const { exitCode, stderr } = await runScript(aws(), none);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^instances: Could not load credentials.*give the rollout the same credentials/);
});

test.concurrent(
  "an instance that the load balancer does not hold for healthy, or of an older version, fails the update by name",
  async () => {
    const instances = { "i-new": "8", "i-sick": "8", "i-old": "7" };
    const { exitCode, stderr } = await run(aws({ instances, healthy: ["i-new", "i-old"] }), { launchTimeout: 0.9 });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/of an older version: i-old, not healthy at the load balancer: i-sick/);
  },
);
