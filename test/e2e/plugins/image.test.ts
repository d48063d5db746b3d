import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Container, Image, type ImageArgs } from "@pulumi/docker";
import { secret } from "@pulumi/pulumi";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../../../cli/paths.ts";
import { freePort } from "../support/net.ts";
import { sources } from "../support/testStack.ts";
import { PluginStack } from "./pluginStack.ts";

let registry: PluginStack;
let stack: PluginStack;
let folder: string;
let host: string;

beforeAll(async () => {
  [registry, stack] = [await PluginStack.create(), await PluginStack.create()];
  host = `127.0.0.1:${await freePort()}`;
  const { baseImage } = await sources();
  await registry.up(() => {
    const context = join(checkout, "docker/registry");
    const build = { context, args: { BASE_IMAGE: baseImage }, platform: "linux/amd64" };
    const image = new Image("image", { imageName: registry.name, skipPush: true, build });
    const ports = [{ internal: 5000, external: Number(host.split(":")[1]), ip: "127.0.0.1" }];
    new Container("registry", { image: image.repoDigest, ports });
    return Promise.resolve();
  });
  folder = await mkdtemp(join(tmpdir(), "image-test-"));
  await writeFile(
    join(folder, "Dockerfile"),
    `FROM ${baseImage}\nARG WORD\nCOPY . /files\nRUN echo the word is $WORD\n`,
  );
  await writeFile(join(folder, ".dockerignore"), "*.log\n");
  await writeFile(join(folder, "file"), "one");
});

afterAll(async () => {
  await stack.dispose();
  await registry.dispose();
  await rm(folder, { recursive: true });
  for (const name of [registry.name, imageName()]) await new Docker().getImage(name).remove({ force: true });
});

const imageName = () => `${host}/test/image:latest`;

const program = (args: Partial<ImageArgs> = {}) => {
  const image = new Image("image", {
    imageName: imageName(),
    build: { context: folder, args: { WORD: "abracadabra" }, platform: "linux/amd64" },
    registry: { server: host, username: "user", password: secret("confidential") },
    ...args,
  });
  return Promise.resolve({ repoDigest: image.repoDigest });
};
const up = (args?: Partial<ImageArgs>) => stack.up(() => program(args));

/** What the registry says is the image's digest. */
async function pushedDigest(): Promise<string | null> {
  const headers = { accept: "application/vnd.docker.distribution.manifest.v2+json" };
  const response = await fetch(`http://${host}/v2/test/image/manifests/latest`, { headers });
  return response.headers.get("docker-content-digest");
}

describe("docker.Image", () => {
  test("a preview builds nothing", async () => {
    expect(await stack.preview(() => program())).toEqual({ create: 2 });
    expect(await pushedDigest()).toBeNull();
  });

  test("is built while the user sees what the build prints, pushed, and known by the registry's own digest", async () => {
    const { outputs, log } = await up();
    expect(log).toContain("the word is abracadabra");
    expect(outputs.repoDigest).toBe(`${host}/test/image@${String(await pushedDigest())}`);
  });

  test("is not built again while nothing changed, whoever pushes it", async () => {
    expect((await up()).changes).toEqual({ same: 2 });
    const others = { server: host, username: "other", password: "word" };
    expect((await up({ registry: others })).changes).toEqual({ same: 2 });
  });

  test("is built again for a changed file, and not for an ignored one", async () => {
    const before = (await up()).outputs.repoDigest;
    await writeFile(join(folder, "some.log"), "ignored");
    expect((await up()).changes).toEqual({ same: 2 });
    await writeFile(join(folder, "file"), "two");
    const { changes, outputs } = await up();
    expect(changes).toEqual({ update: 1, same: 1 });
    expect(outputs.repoDigest).not.toBe(before);
  });

  test("a proxy that it is built through is no part of it, nor of the state", async () => {
    const before = (await up()).outputs.repoDigest;
    const proxy = secret("http://me:confidential@127.0.0.1:9");
    const args = { WORD: "abracadabra", HTTP_PROXY: proxy, http_proxy: proxy };
    const { outputs } = await up({ build: { context: folder, args, platform: "linux/amd64" } });
    expect(outputs.repoDigest).toBe(before);
    const image = new Docker().getImage(imageName());
    expect(JSON.stringify([await image.inspect(), await image.history()])).not.toContain("confidential");
    expect(await stack.stateFile()).not.toContain("confidential");
  });

  test("a registry's password is in no state file", async () => {
    await up({ registry: { server: host, username: "user", password: secret("confidential") } });
    expect(await stack.stateFile()).not.toContain("confidential");
  });

  test("a failing step fails the update with what it printed", async () => {
    const dockerfile = join(folder, "broken.Dockerfile");
    await writeFile(dockerfile, `FROM ${(await sources()).baseImage}\nRUN echo all is lost && exit 7\n`);
    const message = await stack.failingUp(() => program({ build: { context: folder, dockerfile } }));
    expect(message).toMatch(/error reading build output/);
    expect(message).toMatch(/all is lost/);
  });

  test("a name without a registry is refused before anything is built, unless it is not pushed", async () => {
    const message = await stack.failingUp(() => program({ imageName: "image", registry: {} }));
    expect(message).toContain("repository name must be canonical");
  });

  test("a Dockerfile that is not there is refused, and the one that was meant is named", async () => {
    const message = await stack.failingUp(() => program({ build: { context: folder, dockerfile: "Nofile" } }));
    expect(message).toContain('could not open dockerfile at relative path "Nofile"');
  });
});
