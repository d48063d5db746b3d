import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../../cli/paths.ts";
import { engineSource } from "../../offline/engineSource.ts";
import { chat, client } from "./support/chat.ts";
import { docker } from "./support/docker.ts";
import { filesWith } from "./support/filesWith.ts";
import type { GitServer } from "./support/gitServer.ts";
import { startGitServer } from "./support/gitServer.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import { TestStack } from "./support/testStack.ts";
import type { WebServer } from "./support/webServer.ts";
import { startWebServer } from "./support/webServer.ts";

const token = randomBytes(16).toString("hex");

describe("as on an open network: the engine from a git server, the model from a web server", () => {
  let folder: string;
  let models: TestModel[];
  let git: GitServer;
  let web: WebServer;
  let stack: TestStack;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-open-"));
    models = [await drawModel(folder), await drawModel(folder)];
    git = await startGitServer(join(checkout, engineSource));
    web = await startWebServer(Object.fromEntries(models.map(({ path }) => [basename(path), path])), { token });
    stack = await TestStack.create({ engineRepo: git.url, engineRef: git.commit });
  });

  afterAll(async () => {
    await stack.dispose();
    await Promise.all([git.stop(), web.stop(), rm(folder, { recursive: true })]);
  });

  test("a commit is cloned with its submodule and compiled, and a download that breaks off goes on from there", async () => {
    const [model] = models as [TestModel, TestModel];
    stack.configure({ ...model.settings, modelUrl: `${web.url}/cut/${basename(model.path)}` });
    await stack.up();
    const { url, model: name } = await stack.outputs();
    expect(name).toBe(model.name);
    expect((await chat(client(url), 6)).text).toBe(model.answer(6));
    expect(web.requests).toContain(`GET /cut/${basename(model.path)} bytes=400000-`);
  });

  test("a private model's token is in no image, no state, no log and no settings", async () => {
    const [, model] = models as [TestModel, TestModel];
    stack.configure({ ...model.settings, modelUrl: `${web.url}/private/${basename(model.path)}` });
    await stack.setSecret("modelToken", token);
    const { output } = await stack.up();
    expect((await chat(client((await stack.outputs()).url), 6)).text).toBe(model.answer(6));

    expect(output).not.toContain(token);
    const places = [stack.stateFolder, join(checkout, ".state/log"), join(checkout, ".build", stack.name)];
    expect(await filesWith(token, [...places, join(checkout, `Pulumi.${stack.name}.yaml`)])).toEqual([]);
    const images = await docker.listImages({ filters: { label: [`bitnet-server.image-of=${String(stack.id)}`] } });
    expect(images).not.toEqual([]);
    for (const { Id } of images) {
      const image = docker.getImage(Id);
      expect(JSON.stringify([await image.inspect(), await image.history()])).not.toContain(token);
    }
  });
});
