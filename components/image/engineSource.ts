import { statSync } from "node:fs";
import { UserError } from "../errors.ts";

/** A git URL has a scheme or is of ssh's form, user@host:path; anything else is a path of this machine. */
export function isGitUrl(location: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//.test(location) || /^[^/]+@[^/]+:/.test(location);
}

/** @throws UserError if `engineRepo` names a file of this machine that is not there */
export function requireEngineSource(engineRepo: string | undefined): void {
  if (engineRepo === undefined || isGitUrl(engineRepo)) return;
  if (statSync(engineRepo, { throwIfNoEntry: false })?.isFile() === true) return;
  throw new UserError({
    key: "engineRepo",
    value: engineRepo,
    wrong: "it is no git URL, and there is no such file",
    right: "a git URL such as https://github.com/microsoft/BitNet, or the path of a source tarball",
  });
}
