import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkout } from "../../cli/paths.ts";
import { dockerBuild } from "./support/build.ts";
import { docker } from "./support/docker.ts";
import type { TestRegistry } from "./support/registry.ts";
import { startRegistry } from "./support/registry.ts";

// The script alone, with images of one small file: oldImages.test.ts has it in a stack.
let folder: string;
let registry: TestRegistry;
let id: string;
let kept: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "bitnet-server-old-images-"));
  registry = await startRegistry();
  id = randomBytes(8).toString("hex");
  kept = "";
  const lines = ["FROM scratch", "COPY file /", "ARG STACK_ID", "LABEL bitnet-server.image-of=$STACK_ID"];
  await writeFile(join(folder, "Dockerfile"), lines.join("\n"));
});

afterEach(async () => {
  const images = await docker.listImages();
  const pushed = images.filter(({ RepoDigests }) => RepoDigests?.some((name) => name.startsWith(`${registry.host}/`)));
  for (const { Id } of pushed) await docker.getImage(Id).remove({ force: true });
  await registry.stop();
  await rm(folder, { recursive: true });
});

test("what an update that failed has pushed goes as well: what ran before it stays", async () => {
  const first = await push(id);
  await clean(first);
  const failed = await push(id);
  const second = await push(id);
  await clean(second);
  expect(await onEngine([first, failed, second])).toEqual([first, second]);
  expect(await inRegistry([first, failed, second])).toEqual([first, second]);
  // The same image once more, for example because the registry's container is a new one: it has forgotten nothing.
  await clean(second);
  expect(await inRegistry([first, failed, second])).toEqual([first, second]);
});

test("another stack's image in the same registry stays, and so does what the user gave a name or made a container from", async () => {
  const others = await push(`not-${id}`);
  const update = async () => {
    const image = await push(id);
    await clean(image);
    return image;
  };
  const first = await update();
  const named = `bitnet-server-test-name:${id}`;
  await execa("docker", ["tag", first, named]);
  const used = await update();
  const { stdout: container } = await execa("docker", ["create", used, "any"]);
  const [third, fourth] = [await update(), await update()];
  expect(await onEngine([others, named, first, used, third, fourth])).toEqual([others, named, used, third, fourth]);
  expect(await inRegistry([others, first, used, third, fourth])).toEqual([others, third, fourth]);
  await execa("docker", ["rm", container]);
  await execa("docker", ["rmi", named, others, used, third, fourth]);
});

/** Builds an image of a stack that there has never been and pushes it. @returns it by digest */
async function push(stackId: string): Promise<string> {
  await writeFile(join(folder, "file"), randomBytes(1000));
  const tag = `${registry.host}/bitnet-server:${stackId}`;
  const built = await dockerBuild(folder, { STACK_ID: stackId }, ["--tag", tag]);
  if (built.failed) throw new Error(built.all);
  await execa("docker", ["push", tag]);
  const { RepoDigests } = await docker.getImage(tag).inspect();
  return RepoDigests[0] ?? "";
}

/** Runs the script as an update does. */
async function clean(image: string): Promise<void> {
  const env = { STACK_ID: id, IMAGE: image, REGISTRY: registry.container, PULUMI_COMMAND_STDOUT: kept };
  kept = (await execa("node", ["commands/removeOldImages.ts"], { cwd: checkout, env })).stdout;
}

async function onEngine(images: string[]): Promise<string[]> {
  const found = await Promise.all(
    images.map(async (image) => (await execa("docker", ["image", "inspect", image], { reject: false })).exitCode === 0),
  );
  return images.filter((_, index) => found[index]);
}

async function inRegistry(images: string[]): Promise<string[]> {
  const Accept = "application/vnd.docker.distribution.manifest.v2+json";
  const found = await Promise.all(
    images.map(async (image) => {
      const digest = image.slice(image.indexOf("@") + 1);
      return fetch(`http://${registry.host}/v2/bitnet-server/manifests/${digest}`, { headers: { Accept } });
    }),
  );
  return images.filter((_, index) => found[index]?.ok);
}
