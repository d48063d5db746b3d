import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { checkout } from "../../../cli/paths.ts";

/** Makes a checkout of the same files in another folder, with the same tools, and nothing of any state. */
export async function copyCheckout(folder: string): Promise<void> {
  await mkdir(folder);
  const { stdout } = await execa("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: checkout,
  });
  const files = stdout.split("\0").filter((file) => file !== "");
  await execa("cp", ["--parents", "--no-dereference", "--preserve=mode,timestamps", ...files, folder], {
    cwd: checkout,
  });
  for (const shared of ["node_modules", ".tools"]) await symlink(join(checkout, shared), join(folder, shared));
}
