import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../../cli/paths.ts";
import { chat, client } from "./support/chat.ts";
import { belongingsOf, containersOf } from "./support/docker.ts";
import { filesWith } from "./support/filesWith.ts";
import type { TestRegistry } from "./support/registry.ts";
import { startRegistry } from "./support/registry.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import { TestStack } from "./support/testStack.ts";

const username = "team";
const password = randomBytes(16).toString("hex");

describe("a registry that is there already, and asks for a password", () => {
  let folder: string;
  let model: TestModel;
  let registry: TestRegistry;
  let stack: TestStack;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-registry-"));
    model = await drawModel(folder);
    registry = await startRegistry({ user: { username, password } });
    const repository = `${registry.host}/team/bitnet-server`;
    stack = await TestStack.create({ ...model.settings, registry: repository, registryUsername: username });
  });

  afterAll(async () => {
    await stack.dispose();
    await registry.stop();
    await rm(folder, { recursive: true });
  });

  test("a wrong password fails the update with the registry's own words, and nothing runs", async () => {
    await stack.setSecret("registryPassword", "wrong");
    const { exitCode, output } = await stack.run("up");
    expect(exitCode).not.toBe(0);
    expect(output).toMatch(/unauthorized|authentication required/i);
    expect(await containersOf(stack.name, "replica")).toEqual([]);
  });

  test("with the right one, the image is pushed there and run from there, by digest", async () => {
    await stack.setSecret("registryPassword", password);
    const { output } = await stack.up();
    const { image, url } = await stack.outputs();
    expect((await chat(client(url), 6)).text).toBe(model.answer(6));
    expect(await containersOf(stack.name, "registry")).toEqual([]);
    for (const { Config } of await containersOf(stack.name, "replica")) expect(Config.Image).toBe(image);

    const [, digest = ""] = new RegExp(`^${registry.host}/team/bitnet-server@(sha256:[0-9a-f]{64})$`).exec(image) ?? [];
    const manifest = `http://${registry.host}/v2/team/bitnet-server/manifests/${digest}`;
    expect((await fetch(manifest)).status).toBe(401);
    expect((await fetch(manifest, asTeam())).status).toBe(200);

    const logs = [join(checkout, ".state/log"), join(checkout, ".build", stack.name)];
    const logins = await filesWith(password, [stack.stateFolder, ...logs, join(checkout, `Pulumi.${stack.name}.yaml`)]);
    expect(logins).toEqual([]);
    expect(output).not.toContain(password);
    const { stdout } = await execa("find", [homedir(), "-maxdepth", "2", "-path", "*/.docker/config.json"]);
    expect(await filesWith(authorization(), stdout.split("\n").filter(Boolean))).toEqual([]);
  });

  test("destroy leaves nothing on this machine, and in the registry what is not ours to delete", async () => {
    const { exitCode, output } = await stack.run("destroy");
    expect(exitCode, output).toBe(0);
    expect(await belongingsOf(stack)).toEqual([]);
    const tags = `http://${registry.host}/v2/team/bitnet-server/tags/list`;
    expect(await (await fetch(tags, asTeam())).json()).toMatchObject({ tags: [stack.id] });
  });
});

function authorization(): string {
  return Buffer.from(`${username}:${password}`).toString("base64");
}

function asTeam(): RequestInit {
  const Accept = "application/vnd.docker.distribution.manifest.v2+json";
  return { headers: { Authorization: `Basic ${authorization()}`, Accept } };
}
