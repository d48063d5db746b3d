import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Chatters, chat, client } from "./support/chat.ts";
import { containerOf, docker } from "./support/docker.ts";
import type { TestModel } from "./support/testModel.ts";
import { drawModel } from "./support/testModel.ts";
import { TestStack } from "./support/testStack.ts";

describe("a stack whose image has been changed twice", () => {
  let folder: string;
  let models: TestModel[];
  let stack: TestStack;
  /** By digest, oldest first. */
  const images: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bitnet-server-images-"));
    models = await Promise.all([1, 2, 3].map(() => drawModel(folder)));
    stack = await TestStack.create(models[0]?.settings ?? {});
    for (const { settings } of models) {
      stack.configure(settings);
      await stack.up();
      images.push((await stack.outputs()).image);
    }
  });

  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true });
  });

  test("has the running image and the one before it on the engine, and no older one", async () => {
    const filters = { label: [`bitnet-server.image-of=${String(stack.id)}`] };
    const found = (await docker.listImages({ filters })).flatMap(({ RepoDigests }) => RepoDigests ?? []);
    expect(found.filter((name) => name.includes("/bitnet-server@")).toSorted()).toEqual(images.slice(1).toSorted());
  });

  test("has these two in its registry, and in the registry's volume no blob that neither refers to", async () => {
    const manifests = await Promise.all(images.map(manifestOf));
    expect(manifests.map((manifest) => manifest === undefined)).toEqual([true, false, false]);
    const wanted = manifests.flatMap((manifest) => (manifest === undefined ? [] : blobsOf(manifest)));
    const script = "ls /var/lib/registry/docker/registry/v2/blobs/sha256/*";
    const registry = await containerOf(stack.name, "registry");
    const { stdout } = await execa("docker", ["exec", registry.Id, "sh", "-c", script]);
    const stored = stdout.split("\n").filter((line) => /^[0-9a-f]{64}$/.test(line));
    expect(new Set(stored)).toEqual(new Set([...wanted, ...images.slice(1).map(hexOf)]));
  });

  test("with the registry's volume wiped, and the image's names gone from the engine, up pushes it first; nobody notices", async () => {
    const registry = await containerOf(stack.name, "registry");
    await execa("docker", ["exec", registry.Id, "rm", "-r", "/var/lib/registry/docker"]);
    const image = images.at(-1) ?? "";
    const { RepoTags, RepoDigests } = await docker.getImage(image).inspect();
    for (const name of [...RepoTags, ...RepoDigests])
      await execa("docker", ["rmi", "--force", name], { reject: false });
    await expect(docker.getImage(image).inspect()).rejects.toThrow(/no such image/i);

    const { url } = await stack.outputs();
    const model = models.at(-1);
    const chatters = new Chatters(2, client(url), (digit) => [model?.answer(digit) ?? ""]);
    stack.configure({ contextSize: 1024 });
    try {
      await stack.up();
    } finally {
      await chatters.stop();
    }
    expect(chatters.failures).toEqual([]);
    expect((await stack.outputs()).image).toBe(image);
    expect(await manifestOf(image)).toBeDefined();
    expect((await chat(client(url), 3)).text).toBe(model?.answer(3));
    expect((await stack.up()).output).toContain("no change");
  });
});

interface Manifest {
  config: { digest: string };
  layers: { digest: string }[];
}

/** @returns undefined if the registry does not have it */
async function manifestOf(image: string): Promise<Manifest | undefined> {
  const [repository = "", digest = ""] = image.split("@");
  const [host = "", name = ""] = repository.split("/");
  const Accept = "application/vnd.docker.distribution.manifest.v2+json";
  const response = await fetch(`http://${host}/v2/${name}/manifests/${digest}`, { headers: { Accept } });
  return response.ok ? ((await response.json()) as Manifest) : undefined;
}

function blobsOf({ config, layers }: Manifest): string[] {
  return [config, ...layers].map(({ digest }) => hexOf(digest));
}

function hexOf(digest: string): string {
  return digest.slice(digest.lastIndexOf(":") + 1);
}
