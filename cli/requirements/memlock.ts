import { PassThrough } from "node:stream";
import Docker from "dockerode";

/**
 * Whether the Docker daemon may raise a container's limit for locked memory. It may not where it lacks CAP_SYS_RESOURCE
 * itself: rootless Docker, LXC, a dev container.
 * @param image any image with a `true` command; pulled if it is not there
 */
export async function canRaiseMemlock(image: string): Promise<boolean> {
  const docker = new Docker();
  await pullIfMissing(docker, image);
  try {
    await docker.run(image, ["true"], new PassThrough().resume(), {
      HostConfig: { AutoRemove: true, NetworkMode: "none", Ulimits: [{ Name: "memlock", Soft: -1, Hard: -1 }] },
    });
    return true;
  } catch (error) {
    if (error instanceof Error && error.message.includes("setting rlimit")) return false;
    throw error;
  }
}

async function pullIfMissing(docker: Docker, image: string): Promise<void> {
  try {
    await docker.getImage(image).inspect();
  } catch {
    const pull = await docker.pull(image);
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(pull, (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }
}
