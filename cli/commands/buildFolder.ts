import { rmSync } from "node:fs";
import { join } from "node:path";
import { buildFolder } from "../../components/image/buildFolder.ts";
import { checkout, shortName } from "../paths.ts";

/** Removes the build contexts that were laid out for a stack. */
export function removeBuildFolder(stack: string): void {
  rmSync(join(checkout, buildFolder(shortName(stack))), { recursive: true, force: true });
}
