import { Readable } from "node:stream";
import Docker from "dockerode";

/**
 * Whether the Docker daemon may raise a container's limit for locked memory. It may not if it lacks CAP_SYS_RESOURCE
 * itself: rootless Docker, LXC, a dev container. Only an attempt tells, with a container of an empty image: Docker sets
 * the limit before it looks for the program, which does not exist.
 */
export async function mayRaiseMemlock(docker = new Docker()): Promise<boolean> {
  const image = docker.getImage(await importNothing(docker));
  try {
    const container = await docker.createContainer({
      Image: image.id,
      Cmd: ["/nothing"],
      HostConfig: { NetworkMode: "none", Ulimits: [{ Name: "memlock", Soft: -1, Hard: -1 }] },
    });
    try {
      await container.start();
      return true;
    } catch (error) {
      const message = error instanceof Error ? error.message : "";
      if (/rlimit/.test(message)) return false;
      if (/\/nothing/.test(message)) return true;
      throw error;
    } finally {
      await container.remove({ force: true });
    }
  } finally {
    await image.remove({ force: true });
  }
}

/** @returns the id of a new image without files, which needs no registry */
async function importNothing(docker: Docker): Promise<string> {
  const emptyTar = Buffer.alloc(1024); // two blocks of zeros are an archive's end: POSIX, pax
  const answer = await docker.importImage(Readable.from([emptyTar]));
  let text = "";
  for await (const part of answer) text += String(part);
  const [id] = /sha256:[0-9a-f]{64}/.exec(text) ?? [];
  if (id === undefined) throw new Error(`Docker imported no image: ${text}`);
  return id;
}
