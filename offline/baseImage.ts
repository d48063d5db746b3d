import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import type { Progress } from "../cli/progress.ts";
import { installDebianPackages } from "../cli/requirements/debian.ts";
import { onPath } from "../cli/requirements/onPath.ts";

/** The baseImage of the stack `offline`: Debian 13, as debian:trixie-slim is, from Debian's own mirror. */
export const baseImage = "bitnet-server-base:trixie";

/** Builds {@link baseImage} unless Docker has it: 15 seconds, 124 MB. Like any download, it stays when a stack is destroyed. */
export async function ensureBaseImage(progress: Progress): Promise<void> {
  if (await exists()) return;
  if (onPath("mmdebstrap").length === 0) {
    await installDebianPackages(["mmdebstrap", "debian-archive-keyring"], "a Debian base image", progress);
  }
  await progress.run(`base image: making ${baseImage} from Debian's packages`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "bitnet-base-"));
    try {
      const archive = join(folder, "base.tar");
      await execa("mmdebstrap", ["--variant=minbase", "--components=main", "trixie", archive]);
      await execa("docker", ["import", "--change", 'CMD ["bash"]', archive, baseImage]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

async function exists(): Promise<boolean> {
  try {
    await new Docker().getImage(baseImage).inspect();
    return true;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return false;
    throw error;
  }
}
