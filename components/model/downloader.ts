import { spawnSync } from "node:child_process";
import { UserError } from "../errors.ts";

/** @throws UserError if this machine lacks the tools for downloading a gated or private model */
export function requireDownloader(): void {
  if (spawnSync("curl", ["--version"]).error === undefined) return;
  throw new UserError({
    key: "modelToken",
    wrong: "a gated or private model is downloaded on this machine, with curl, which it has not",
    right: "install it: apt-get install curl; or download the model yourself, and name the file in modelUrl",
  });
}
