import { mkdtemp, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { checkout, tools } from "../../../cli/paths.ts";
import { stageBuildContext } from "../../../components/image/buildContext.ts";
import { contextDigest } from "../../../components/image/contextDigest.ts";
import { engineSource } from "../../../offline/engineSource.ts";
import { dockerBuild, layIn } from "../support/build.ts";
import { chat, client } from "../support/chat.ts";
import { docker, replicaRights } from "../support/docker.ts";
import { freePort, isHealthy } from "../support/net.ts";
import type { TestModel } from "../support/testModel.ts";
import { drawModel } from "../support/testModel.ts";

let folder: string;
let model: TestModel;

beforeAll(async () => {
  folder = await mkdtemp(join(tools, "clones-test-"));
  model = await drawModel(folder);
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Clones what was committed, as somebody with other habits does. */
async function clone(umask: string, config: string): Promise<string> {
  const destination = await mkdtemp(join(folder, "clone-"));
  const script = 'umask "$0" && git -c "$1" clone --quiet "$2" "$3/checkout"';
  await execa("sh", ["-c", script, umask, config, checkout, destination]);
  return join(destination, "checkout");
}

const contextOf = (source: string, image: string) => {
  const destination = join(source, ".build", image);
  stageBuildContext(join(source, "docker", image), destination);
  return contextDigest(destination);
};

describe.each([
  ["under umask 077", "077", "core.autocrlf=false"],
  ["with core.autocrlf", "022", "core.autocrlf=true"],
])("a clone made %s", (_, umask, config) => {
  let clonePath: string;
  beforeAll(async () => {
    clonePath = await clone(umask, config);
  });

  test("has the same build contexts as any other", async () => {
    const usual = await clone("022", "core.autocrlf=false");
    for (const image of ["server", "load-balancer", "registry"]) {
      expect(contextOf(clonePath, image)).toBe(contextOf(usual, image));
    }
  });

  test("is built by plain `docker build` into an image whose user can read all that it runs", async () => {
    const image = `bitnet-server-test-clone-${umask}`;
    const context = join(clonePath, "docker/server");
    layIn(context, { model: model.path, engine: join(checkout, engineSource) });
    if (umask === "077") expect((await stat(join(context, "runtime/entrypoint.sh"))).mode & 0o077).toBe(0);

    const built = await dockerBuild(context, { MODEL_URL: basename(model.path) }, ["--tag", image]);
    expect(built.exitCode, built.all).toBe(0);
    const port = await freePort();
    const { stdout: id } = await execa("docker", [
      "run",
      "--detach",
      ...replicaRights,
      `--publish=127.0.0.1:${port}:8080`,
      image,
    ]);
    try {
      const url = `http://127.0.0.1:${port}`;
      await vi.waitUntil(() => isHealthy(url), { timeout: 60_000 });
      expect(await chat(client(`${url}/v1`), 4)).toMatchObject({ text: model.answer(4) });
      // What an image for another CPU does when it first starts, as the user that the entrypoint becomes.
      const selfTest = ["/opt/bitnet-server/self-test.sh", "llama-server", "/opt/bitnet-server/self-test"];
      const environment = ["--env=ENGINE=ik_llama.cpp", "--user=65532:65532"];
      const { stdout } = await execa("docker", ["exec", ...environment, id, ...selfTest]);
      expect(stdout).toContain("all as they should be");
    } finally {
      await docker.getContainer(id).remove({ force: true });
      await execa("docker", ["rmi", image], { reject: false });
    }
  });
});
