import { execa } from "execa";
import { UserError } from "../../components/errors.ts";
import type { Progress } from "../progress.ts";

/**
 * Makes sure that the Docker Engine has the image that all others are built from. The client pulls it: it knows the
 * user's logins.
 * @throws UserError in the registry's own words
 */
export async function ensureImage(image: string, progress: Progress): Promise<void> {
  if (await hasImage(image)) return;
  await progress.run(`base image: pulling ${image}`, async () => {
    const pull = await execa("docker", ["pull", "--quiet", image], { reject: false });
    if (pull.exitCode !== 0) {
      throw new UserError({
        key: "baseImage",
        value: image,
        wrong: `it cannot be pulled: ${pull.stderr.trim().split("\n").at(-1) ?? ""}`,
        right: "a Debian 13 image, such as debian:trixie-slim; for a private one docker login first",
      });
    }
  });
}

/** Whether Docker has an image, so that no registry is asked for it; false, too, where there is no Docker to ask. */
export async function hasImage(image: string): Promise<boolean> {
  const { exitCode } = await execa("docker", ["image", "inspect", image], { reject: false });
  return exitCode === 0;
}
