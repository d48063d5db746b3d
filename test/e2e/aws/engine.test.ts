import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LaunchTemplate } from "@pulumi/aws/ec2/index.js";
import type { UpdateServiceCommandInput } from "@aws-sdk/client-ecs";
import { CustomResource } from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { PluginStack } from "../plugins/pluginStack.ts";
import { chat, client } from "../support/chat.ts";
import { belongingsOf, inReplica, serverProcess } from "../support/docker.ts";
import type { TestModel } from "../support/testModel.ts";
import { drawModel } from "../support/testModel.ts";
import type { Outputs } from "../support/testStack.ts";
import { TestStack } from "../support/testStack.ts";
import { registryLogin } from "../../program/aws.ts";
import type { Account, Call } from "./cloud/account.ts";
import { criticalFinding, startAccount } from "./cloud/account.ts";

let account: Account;

beforeAll(async () => {
  account = await startAccount();
  for (const [name, value] of Object.entries(account.environment)) vi.stubEnv(name, value);
});

afterAll(async () => {
  await account.stop();
});

describe("an aws stack, by the real engine, on an account that is played", () => {
  let folder: string;
  let model: TestModel;
  let stack: TestStack;
  let planned: string | undefined;
  let outputs: Outputs & { repository: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-aws-"));
    model = await drawModel(folder);
    // The "instances" are this machine: an image for any CPU with AVX2.
    const onThisMachine = { cpuTarget: "x86-64-v3", instanceType: "c7a.2xlarge" };
    const plain = { allowPlainHttp: true, allowedCidrs: '["127.0.0.0/8"]' };
    stack = await TestStack.create({ ...model.settings, target: "aws", ...onThisMachine, ...plain });
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test("a preview plans everything, though hardly anything is known yet, and makes nothing", async () => {
    const { exitCode, output } = await stack.run("preview");
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(/^ {2}create +launchtemplate fleet-instance-x86-64$/m);
    planned = /: (\d+) to create$/m.exec(output)?.[1];
    expect(Number(planned)).toBeGreaterThan(50);
    expect(account.changes()).toEqual([]);
    expect(await belongingsOf(stack)).toEqual([]);
  });

  test("up makes what was planned, and its question is answered by the engine, to the letter", async () => {
    const { output } = await stack.up();
    outputs = (await stack.outputs()) as typeof outputs;
    expect(output).toContain(`${planned ?? ""} created`);
    expect(await stateOf("smoke-test")).toMatchObject({ outputs: { stdout: model.settings.smokeAnswer } });
  });

  test("the repository has the image that the task definition names, and shows it to nobody without a login", async () => {
    const [host, repository] = outputs.repository.split("/");
    const [image, digest] = outputs.image.split("@");
    expect(image).toBe(outputs.repository);
    const [server] = account.ecs.tasks[0]?.containers.filter(({ name }) => name === "server") ?? [];
    expect(server?.image).toBe(outputs.image);
    const manifest = async (headers: Record<string, string>) => {
      const accept = "application/vnd.docker.distribution.manifest.v2+json";
      const url = `http://${host ?? ""}/v2/${repository ?? ""}/manifests/${digest ?? ""}`;
      return (await fetch(url, { headers: { accept, ...headers } })).status;
    };
    const authorization = `Basic ${Buffer.from(`${registryLogin.username}:${registryLogin.password}`).toString("base64")}`;
    expect([await manifest({ authorization }), await manifest({})]).toEqual([200, 401]);
  });

  test("whoever has the key gets answers through the load balancer, and nobody what the API does not have", async () => {
    expect(await chat(client(outputs.url, outputs.apiKey), 4)).toMatchObject({ text: model.answer(4) });
    await expect(chat(client(outputs.url, "another-key"), 4)).rejects.toThrow("401");
    expect((await fetch(outputs.healthUrl)).status).toBe(200);
    const authorization = `Bearer ${outputs.apiKey}`;
    expect((await fetch(new URL("/slots", outputs.url), { headers: { authorization } })).status).toBe(404);
  });

  test("verify-aws has a line for each check, and fails where any has: CloudWatch has no metrics here", async () => {
    const { exitCode, output } = await stack.runAs([], "verify-aws");
    expect(output).toMatch(/^✓ deployment +done; 1 of 1 tasks run$/m);
    expect(output).toMatch(/^✓ targets +1 of 1 targets are healthy$/m);
    expect(output).toMatch(/^✓ no key +a request without a key is answered with 401$/m);
    expect(output).toMatch(/^✓ answer +"/m);
    expect(output).toMatch(/^✗ metrics /m);
    expect(output).toContain("checks failed");
    expect(exitCode).toBe(1);
  });

  test("up again changes nothing, and warns of the CRITICAL finding of ECR's scan again", async () => {
    const [before] = [taskIds(), account.changes()];
    const { output } = await stack.up();
    expect(output).toContain("no change");
    expect(output).toContain(finding());
    expect(account.changes()).toEqual([]);
    expect(taskIds()).toEqual(before);
  });

  test("a changed contextSize is a new task definition, rolled out, and nothing else", async () => {
    const before = taskIds();
    stack.configure({ contextSize: 1024 });
    const { output } = await stack.up();
    // The service, the wait for its rollout, and the question that follows it.
    expect(output).toContain(": 3 updated, 1 replaced");
    expect(actions(account.changes())).toEqual(["DeregisterTaskDefinition", "RegisterTaskDefinition", "UpdateService"]);
    expect(taskIds()).toHaveLength(1);
    expect(taskIds()).not.toEqual(before);
    const { args } = await serverProcess(inReplica(account.ecs.tasks[0]?.name("server") ?? ""));
    expect(args.join(" ")).toContain(`--ctx-size ${4 * 1024} --parallel 4`);
  });

  test("with failOnCritical the finding fails the update, and nothing is rolled out", async () => {
    const before = taskIds();
    stack.configure({ failOnCritical: true, contextSize: 512 });
    const { exitCode, output } = await stack.run("up");
    expect(exitCode).not.toBe(0);
    expect(output).toContain("failOnCritical is true");
    expect(output).toContain(finding());
    expect(taskIds()).toEqual(before);
    stack.configure({ failOnCritical: false, contextSize: 1024 });
    await stack.up();
    expect(taskIds()).toHaveLength(1);
  });

  test("another API key is a new secret and a new task, which takes the old key, too", async () => {
    account.changes();
    stack.configure({ apiKeys: JSON.stringify(["another-key", outputs.apiKey]) });
    await stack.up();
    const changes = account.changes();
    const ofTask = ["DeregisterTaskDefinition", "RegisterTaskDefinition", "UpdateService"];
    expect(actions(changes)).toEqual([...ofTask, "PutSecretValue"].toSorted());
    expect(JSON.stringify(changes)).not.toContain("another-key");
    for (const key of ["another-key", outputs.apiKey]) {
      expect(await chat(client(outputs.url, key), 5)).toMatchObject({ text: model.answer(5) });
    }
  });

  test("a version that does not start fails the update with the server's words; what ran before goes on", async () => {
    const before = taskIds();
    stack.configure({ extraArgs: '["--lora", "/nowhere.gguf"]' });
    const { exitCode, output } = await stack.run("up");
    expect(exitCode).not.toBe(0);
    expect(output).toContain("the deployment failed: ECS deployment circuit breaker: rolling back");
    expect(output).toContain("Essential container in task exited");
    expect(output).toContain("failed to apply lora adapter '/nowhere.gguf'");
    expect(taskIds()).toEqual(before);
    expect(await chat(client(outputs.url, outputs.apiKey), 6)).toMatchObject({ text: model.answer(6) });
  });

  test("the next update with the same settings tries again, and fails with the same words", async () => {
    const [before, ended] = [taskIds(), account.ecs.ended.length];
    const { exitCode, output } = await stack.run("up");
    expect(exitCode).not.toBe(0);
    expect(output).toContain("failed to apply lora adapter '/nowhere.gguf'");
    expect(account.ecs.ended.length).toBeGreaterThan(ended);
    expect(taskIds()).toEqual(before);
  });

  test("an update with other settings is rolled out after that", async () => {
    const before = taskIds();
    stack.configure({ extraArgs: "[]" });
    await stack.up();
    expect(taskIds()).not.toEqual(before);
    expect(await chat(client(outputs.url, outputs.apiKey), 7)).toMatchObject({ text: model.answer(7) });
  });

  test("another minReplicas starts tasks, up to so many", async () => {
    stack.configure({ minReplicas: 2 });
    await stack.up();
    await expect.poll(() => taskIds(), { timeout: 120_000 }).toHaveLength(2);
    expect(await chat(client(outputs.url, outputs.apiKey), 9)).toMatchObject({ text: model.answer(9) });
  });

  test("spot is a second group of instances, from which the service takes its share of tasks", async () => {
    account.changes();
    stack.configure({ spot: 50 });
    await stack.up();
    const changes = account.changes();
    expect(actions(changes)).toEqual(expect.arrayContaining(["CreateAutoScalingGroup", "CreateCapacityProvider"]));
    const { cluster, capacityProviderStrategy } = JSON.parse(
      changes.find(({ action }) => action === "UpdateService")?.body ?? "{}",
    ) as UpdateServiceCommandInput;
    const { clusters } = await account.clients.ecs.describeClusters({ clusters: [cluster ?? ""] });
    expect(clusters?.[0]?.capacityProviders).toEqual(
      capacityProviderStrategy?.map(({ capacityProvider }) => capacityProvider),
    );
    expect(capacityProviderStrategy).toMatchObject([{ base: 2, weight: 50 }, { weight: 50 }]);
  });

  test("destroy leaves nothing: not in the account, not on the Docker Engine, not in the state", async () => {
    expect(await account.belongings()).toContain(`/task-${account.ecs.tasks[0]?.id.slice(0, 12) ?? ""}-server`);
    account.changes();
    const { exitCode, output } = await stack.run("destroy");
    expect(exitCode, output).toBe(0);
    // What GetResources lists after its end, too.
    const ended = ["DeleteCluster", "DeleteNatGateway", "DeleteService", "DeregisterTaskDefinition"];
    expect(actions(account.changes())).toEqual(expect.arrayContaining(ended));
    expect(await account.belongings()).toEqual([]);
    expect(await belongingsOf(stack)).toEqual([]);
    expect(await state()).toEqual([]);
    await expect(fetch(outputs.healthUrl)).rejects.toThrow("fetch failed");
  });

  test("a first version that does not start fails the update with the server's words; the next one is rolled out", async () => {
    stack.configure({ extraArgs: '["--lora", "/nowhere.gguf"]', minReplicas: 1, spot: 0 });
    const { exitCode, output } = await stack.run("up");
    expect(exitCode).not.toBe(0);
    expect(output).toContain("the deployment failed: ECS deployment circuit breaker: tasks failed to start");
    expect(output).toContain("failed to apply lora adapter '/nowhere.gguf'");
    stack.configure({ extraArgs: "[]" });
    await stack.up();
    outputs = (await stack.outputs()) as typeof outputs;
    expect(await chat(client(outputs.url, outputs.apiKey), 8)).toMatchObject({ text: model.answer(8) });
    const destroyed = await stack.run("destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(await account.belongings()).toEqual([]);
  });

  /** As it is told. */
  function finding(): string {
    return `CRITICAL ${criticalFinding.name}: image ${outputs.image}`;
  }

  function taskIds(): string[] {
    return account.ecs.tasks.map(({ id }) => id);
  }

  function actions(calls: readonly Call[]): string[] {
    return calls.map(({ action }) => action).toSorted();
  }

  async function state(): Promise<{ urn: string }[]> {
    const file = join(stack.stateFolder, ".pulumi", "stacks", "bitnet-server", `${stack.name}.json`);
    const { checkpoint } = JSON.parse(await readFile(file, "utf8")) as {
      checkpoint: { latest?: { resources?: { urn: string }[] } };
    };
    return checkpoint.latest?.resources ?? [];
  }

  async function stateOf(name: string) {
    return (await state()).find(({ urn }) => urn.includes("command:local:Command") && urn.endsWith(`::${name}`));
  }
});

describe("what @pulumi/aws's types do not have", () => {
  let stack: PluginStack;

  beforeAll(async () => {
    stack = await PluginStack.create();
  });

  afterAll(async () => {
    await stack.dispose();
  });

  /** What the classes of @pulumi/aws would not even send. */
  class Anything extends CustomResource {}

  const refused = async (type: string, properties: object) =>
    stack.failingUp(() => {
      new Anything(type, "refused", { ...properties });
      return Promise.resolve();
    });

  test("a property is refused by name", async () => {
    const message = await refused("aws:ec2/vpc:Vpc", { cidrBlock: "10.0.0.0/16", cidrBlok: "10.1.0.0/16" });
    expect(message).toContain('aws:ec2/vpc:Vpc: there is no property "cidrBlok"');
  });

  test("so is one within another", async () => {
    const message = await stack.failingUp(() => {
      const metadataOptions = { httpTokens: "required", httpTokenz: "required" };
      new LaunchTemplate("refused", { metadataOptions });
      return Promise.resolve();
    });
    expect(message).toContain('LaunchTemplate.metadataOptions: there is no property "httpTokenz"');
  });

  test("so is a value of another kind, and a property that is missing", async () => {
    const ofAnotherKind = await refused("aws:ec2/subnet:Subnet", { vpcId: ["vpc-0123"] });
    expect(ofAnotherKind).toContain('Subnet.vpcId: ["vpc-0123"] is of another kind than declared');
    expect(await refused("aws:iam/role:Role", {})).toContain('Role: "assumeRolePolicy" is missing');
  });

  test("so is a type of resource", async () => {
    expect(await refused("aws:ec2/vpc:Vpx", {})).toContain("aws:ec2/vpc:Vpx is not among the resources");
  });
});
