import { execa } from "execa";
import { vi } from "vitest";
import { buildImage } from "../image/build.ts";
import { docker, replicaRights } from "./docker.ts";
import { freePort, isHealthy } from "./net.ts";

/** One replica of an image with a model, without a stack around it. */
export interface ModelServer extends AsyncDisposable {
  /** Without a path. */
  url: string;
}

/**
 * Builds the image and starts it.
 * @param model a GGUF file
 * @param image what to call it; it is removed in the end
 */
export async function startModelServer(model: string, image: string): Promise<ModelServer> {
  const { succeeded, output } = await buildImage({ files: { model }, tag: image });
  if (!succeeded) throw new Error(output);
  const port = await freePort();
  // What a random model says makes no sense, and the entrypoint would end a server for that.
  const run = ["run", "--detach", ...replicaRights, "--env=SMOKE_PROMPT=", `--publish=127.0.0.1:${port}:8080`, image];
  const { stdout: container } = await execa("docker", run);
  const server: ModelServer = {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await docker.getContainer(container).remove({ force: true });
      await execa("docker", ["rmi", image], { reject: false });
    },
  };
  try {
    await vi.waitUntil(() => isHealthy(server.url), { timeout: 60_000 });
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}
