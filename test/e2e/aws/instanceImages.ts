import { execa } from "execa";
import { dockerBuild } from "../support/build.ts";
import { startRegistry } from "../support/registry.ts";

/** A registry in a container, behind what plays ECR. */
export interface ImageRegistry {
  /** On this machine's loopback. */
  port: number;
  /**
   * Does what Pulumi's docker.Image does, builds and pushes; whichever registry the image's name says, it is this one.
   * @returns the image by digest, under the name that it was given
   */
  push(image: ImageInputs): Promise<string>;
  stop(): Promise<void>;
}

/** docker.Image's inputs, as far as they matter here. */
export interface ImageInputs {
  imageName: string;
  build: { context: string; dockerfile: string; args: Record<string, string> };
}

export async function startImageRegistry(): Promise<ImageRegistry> {
  const registry = await startRegistry();
  const images: string[] = [];
  return {
    port: Number(new URL(`http://${registry.host}`).port),
    async push({ imageName, build: { context, dockerfile, args } }) {
      const [host = "", ...path] = imageName.split("/");
      const pushed = [registry.host, ...path].join("/");
      images.push(pushed);
      await build(pushed, context, dockerfile, args);
      await docker("push", "--quiet", pushed);
      const { RepoDigests } = JSON.parse(await docker("inspect", "--format", "{{json .}}", pushed)) as {
        RepoDigests: string[];
      };
      const digest = RepoDigests.find((each) => each.startsWith(pushed.slice(0, pushed.lastIndexOf(":"))));
      return [host, ...(digest ?? "").split("/").slice(1)].join("/");
    },
    async stop() {
      await registry.stop();
      if (images.length > 0) await docker("rmi", "--force", ...images);
    },
  };
}

async function build(tag: string, context: string, dockerfile: string, args: Record<string, string>): Promise<void> {
  const built = await dockerBuild(context, args, ["--file", dockerfile, "--tag", tag]);
  if (built.exitCode !== 0) throw new Error(built.all);
}

async function docker(...args: string[]): Promise<string> {
  return (await execa("docker", args)).stdout;
}
