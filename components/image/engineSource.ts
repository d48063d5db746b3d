import { statSync } from "node:fs";
import { UserError } from "../errors.ts";

/** A git URL has a scheme or is of ssh's form, user@host:path; anything else is a path of this machine. */
export function isGitUrl(location: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//.test(location) || /^[^/]+@[^/]+:/.test(location);
}

/** @throws UserError if `engineRepo` is a URL that a build cannot clone, or a file of this machine that is not there */
export function requireEngineSource(engineRepo: string | undefined): void {
  if (engineRepo === undefined) return;
  if (isGitUrl(engineRepo)) {
    requireCloneable(engineRepo);
    return;
  }
  if (statSync(engineRepo, { throwIfNoEntry: false })?.isFile() === true) return;
  throw new UserError({
    key: "engineRepo",
    value: engineRepo,
    wrong: "it is no git URL, and there is no such file",
    right: "a git URL such as https://github.com/microsoft/BitNet, or the path of a source tarball",
  });
}

/** A build has no SSH key, no credentials and no file of this machine. */
function requireCloneable(engineRepo: string): void {
  const url = URL.parse(engineRepo);
  const cloneable = url !== null && ["https:", "http:", "git:"].includes(url.protocol);
  const right = "an https://, http:// or git:// URL without a user name or password, or the path of a source tarball";
  // Such a value is a secret, and not shown.
  if ((url?.password ?? "") !== "" || (cloneable && url.username !== "")) {
    const wrong = "it has a user name or a password in it, which state, logs and the image's history would show";
    throw new UserError({ key: "engineRepo", wrong, right });
  }
  if (!cloneable) {
    const wrong = "the image's build has neither an SSH key nor this machine's files, and cannot clone it";
    throw new UserError({ key: "engineRepo", value: engineRepo, wrong, right });
  }
}
