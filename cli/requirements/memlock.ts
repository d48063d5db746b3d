import Docker from "dockerode";

/**
 * Whether the Docker daemon may raise a container's limit for locked memory. It may not where it lacks CAP_SYS_RESOURCE
 * itself: rootless Docker, LXC, a dev container.
 * @param image any image of this machine with a `true` command
 */
export async function canRaiseMemlock(image: string, docker = new Docker()): Promise<boolean> {
  // Starting it is all that is asked: by the time that one could wait for it, it may have ended.
  const container = await docker.createContainer({
    Image: image,
    Cmd: ["true"],
    HostConfig: { NetworkMode: "none", Ulimits: [{ Name: "memlock", Soft: -1, Hard: -1 }] },
  });
  try {
    await container.start();
    return true;
  } catch (error) {
    if (error instanceof Error && error.message.includes("setting rlimit")) return false;
    throw error;
  } finally {
    await container.remove({ force: true });
  }
}
