import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LaunchTemplate } from "@pulumi/aws/ec2/index.js";
import { CustomResource } from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { PluginStack } from "../plugins/pluginStack.ts";
import { chat, client } from "../support/chat.ts";
import { belongingsOf, inReplica, serverProcess } from "../support/docker.ts";
import type { TestModel } from "../support/testModel.ts";
import { drawModel } from "../support/testModel.ts";
import type { Outputs } from "../support/testStack.ts";
import { TestStack } from "../support/testStack.ts";
import { login } from "./cloud/registry.ts";
import { types } from "./cloud/resource.ts";
import type { Cloud } from "./cloud/server.ts";
import { startCloud } from "./cloud/server.ts";

let cloud: Cloud;

beforeAll(async () => {
  cloud = await startCloud();
  for (const [name, value] of Object.entries(cloud.environment)) vi.stubEnv(name, value);
});

afterAll(async () => {
  await cloud.stop();
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
    expect(cloud.account.resources).toEqual([]);
    expect(await belongingsOf(stack)).toEqual([]);
  });

  test("up makes what was planned, and its question is answered by the engine, to the letter", async () => {
    const { output } = await stack.up();
    outputs = (await stack.outputs()) as typeof outputs;
    expect(output).toContain(`${planned ?? ""} created`);
    expect(await stateOf("smoke-test")).toMatchObject({ outputs: { stdout: model.settings.smokeAnswer } });
  });

  test("the repository has the image that the launch template names, and shows it to nobody without a login", async () => {
    const [host, repository] = outputs.repository.split("/");
    const [image, digest] = outputs.image.split("@");
    expect(image).toBe(outputs.repository);
    expect(userData()).toContain(`\nSERVER_IMAGE=${outputs.image}\n`);
    const manifest = async (headers: Record<string, string>) => {
      const accept = "application/vnd.docker.distribution.manifest.v2+json";
      const url = `http://${host ?? ""}/v2/${repository ?? ""}/manifests/${digest ?? ""}`;
      return (await fetch(url, { headers: { accept, ...headers } })).status;
    };
    const authorization = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
    expect([await manifest({ authorization }), await manifest({})]).toEqual([200, 401]);
  });

  test("whoever has the key gets answers through the load balancer, and only to what its rules let through", async () => {
    expect(await chat(client(outputs.url, outputs.apiKey), 4)).toMatchObject({ text: model.answer(4) });
    await expect(chat(client(outputs.url, "another-key"), 4)).rejects.toThrow("401");
    expect((await fetch(outputs.healthUrl)).status).toBe(200);
    const closed = await fetch(new URL("/slots", outputs.url));
    expect([closed.status, await closed.text()]).toEqual([404, expect.stringContaining("no such endpoint")]);
  });

  test("up again changes nothing", async () => {
    const before = snapshot();
    expect((await stack.up()).output).toContain("no change");
    expect(snapshot()).toEqual(before);
  });

  test("a changed contextSize is a new version of the launch template, rolled out, and nothing else", async () => {
    const before = snapshot();
    stack.configure({ contextSize: 1024 });
    // The template, the rollout, and the question that follows it.
    expect((await stack.up()).output).toContain(": 3 updated");
    const after = snapshot();
    expect(changed(before, after)).toEqual([types.launchTemplate]);
    expect(after.instances).toHaveLength(1);
    expect(after.instances).not.toEqual(before.instances);
    expect(refreshes()).toEqual(["Successful"]);
    const { args } = await serverProcess(inReplica(`${after.instances[0] ?? ""}-server`));
    expect(args.join(" ")).toContain("--ctx-size 1024");
  });

  test("another API key is a new secret and new instances, which take the old key, too", async () => {
    const before = snapshot();
    stack.configure({ apiKeys: JSON.stringify(["another-key", outputs.apiKey]) });
    await stack.up();
    expect(changed(before, snapshot())).toEqual([types.secretVersion, types.launchTemplate].toSorted());
    for (const key of ["another-key", outputs.apiKey]) {
      expect(await chat(client(outputs.url, key), 5)).toMatchObject({ text: model.answer(5) });
    }
    expect(userData()).not.toContain("another-key");
  });

  test("a version that does not start fails the update with the server's words; what ran before goes on", async () => {
    const { instances } = snapshot();
    stack.configure({ extraArgs: '["--lora", "/nowhere.gguf"]' });
    const { exitCode, output } = await stack.run("up");
    expect(exitCode).not.toBe(0);
    expect(output).toContain("what ran before runs again");
    expect(output).toContain("failed to apply lora adapter '/nowhere.gguf'");
    expect(refreshes()[0]).toBe("RollbackSuccessful");
    expect(snapshot().instances).toEqual(instances);
    expect(await chat(client(outputs.url, outputs.apiKey), 6)).toMatchObject({ text: model.answer(6) });
  });

  test("the next update tries again", async () => {
    const { instances } = snapshot();
    stack.configure({ extraArgs: "[]" });
    await stack.up();
    expect(refreshes()[0]).toBe("Successful");
    expect(snapshot().instances).not.toEqual(instances);
    expect(await chat(client(outputs.url, outputs.apiKey), 7)).toMatchObject({ text: model.answer(7) });
  });

  test("another minReplicas starts instances of the version that runs, not of the one that the group was made with", async () => {
    const { instances } = snapshot();
    const [before] = cloud.account.autoScaling.groups;
    const { configuration } = before ?? {};
    expect(Number(configuration?.version)).toBeGreaterThan(1);
    stack.configure({ minReplicas: 2 });
    await stack.up();
    const [after] = cloud.account.autoScaling.groups;
    expect(after?.configuration).toEqual({ ...configuration, onDemandBase: 2 });
    expect(after?.instances.map(({ version, state }) => [version, state])).toEqual(
      Array(2).fill([configuration?.version, "InService"]),
    );
    expect(snapshot().instances).toEqual(expect.arrayContaining(instances));
  });

  test("so does another share of spot; fewer replicas are no reason to wait, nor to replace what runs", async () => {
    const { instances } = snapshot();
    const [before] = cloud.account.autoScaling.groups;
    const version = before?.configuration.version;
    const replacements = refreshes();
    stack.configure({ minReplicas: 1, spot: 50 });
    await stack.up();
    const [after] = cloud.account.autoScaling.groups;
    expect(after?.configuration).toMatchObject({ version, onDemandBase: 1, onDemandPercentageAbove: 50 });
    expect(after?.configuration.instanceTypes).toContain("m7a.2xlarge");
    expect([snapshot().instances, refreshes()]).toEqual([instances, replacements]);
  });

  test("destroy leaves nothing: not in the account, not on the Docker Engine, not in the state", async () => {
    const { exitCode, output } = await stack.run("destroy");
    expect(exitCode, output).toBe(0);
    expect(cloud.account.resources).toEqual([]);
    expect(await cloud.account.belongings()).toEqual([]);
    expect(await belongingsOf(stack)).toEqual([]);
    expect(await state()).toEqual([]);
    await expect(fetch(outputs.healthUrl)).rejects.toThrow("fetch failed");
  });

  test("a first version that does not start fails the update with the server's words; the next one needs no replacement", async () => {
    stack.configure({ extraArgs: '["--lora", "/nowhere.gguf"]' });
    const { exitCode, output } = await stack.run("up");
    expect(exitCode).not.toBe(0);
    expect(output).toContain("do not start");
    expect(output).toContain("failed to apply lora adapter '/nowhere.gguf'");
    stack.configure({ extraArgs: "[]" });
    await stack.up();
    outputs = (await stack.outputs()) as typeof outputs;
    expect(refreshes()).toEqual([]);
    expect(await chat(client(outputs.url, outputs.apiKey), 8)).toMatchObject({ text: model.answer(8) });
    const destroyed = await stack.run("destroy");
    expect(destroyed.exitCode, destroyed.output).toBe(0);
    expect(await cloud.account.belongings()).toEqual([]);
  });

  /** What the account has, by what tells a change: a new id is another resource, a longer history a changed one. */
  function snapshot() {
    const { resources, autoScaling } = cloud.account;
    return {
      resources: resources.map(({ type, id, history }) => ({ type, id, changes: history.length })),
      instances: autoScaling.groups.flatMap((group) => group.instances.map(({ id }) => id)),
    };
  }

  /** The types of what is not as it was. */
  function changed(before: ReturnType<typeof snapshot>, after: ReturnType<typeof snapshot>): string[] {
    const known = new Set(before.resources.map((resource) => JSON.stringify(resource)));
    const differing = after.resources.filter((resource) => !known.has(JSON.stringify(resource)));
    expect(after.resources).toHaveLength(before.resources.length);
    return differing.map(({ type }) => type).toSorted();
  }

  /** How the replacements of instances ended, the newest first. */
  function refreshes(): string[] {
    return cloud.account.autoScaling.groups.flatMap((group) => group.refreshes.map(({ status }) => status));
  }

  function userData(): string {
    const [template] = cloud.account.resourcesOf(types.launchTemplate);
    return cloud.account.userData(template?.id ?? "", String(template?.history.length));
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
