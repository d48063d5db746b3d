import { closeSync, openSync, readSync, statSync } from "node:fs";
import { UserError } from "../errors.ts";

/** A git URL has a scheme or ssh's form, user@host:path; anything else is a path on this machine. */
export function isGitUrl(location: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//.test(location) || /^[^/]+@[^/]+:/.test(location);
}

/** @throws UserError if `engineRepo` is a URL that a build cannot clone, or a missing file on this machine */
export function requireEngineSource(engineRepo: string | undefined): void {
  if (engineRepo === undefined) return;
  if (isGitUrl(engineRepo)) {
    requireCloneable(engineRepo);
    return;
  }
  const isFile = statSync(engineRepo, { throwIfNoEntry: false })?.isFile() === true;
  if (isFile && isTarball(engineRepo)) return;
  throw new UserError({
    key: "engineRepo",
    value: engineRepo,
    wrong: isFile ? "the file is no tar archive" : "it is no git URL, and there is no such file",
    right: "a git URL such as https://github.com/ikawrakow/ik_llama.cpp, or the path of a source tarball",
  });
}

/**
 * How tar archives begin, and at which byte (magic(5)): plain, or compressed in a way that the image's build can
 * unpack.
 */
const beginnings = [
  { at: 257, hex: "7573746172" }, // ustar
  { at: 0, hex: "1f8b" }, // gzip
  { at: 0, hex: "425a68" }, // bzip2
  { at: 0, hex: "fd377a585a00" }, // xz
];

function isTarball(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(512);
    readSync(file, head);
    return beginnings.some(({ at, hex }) => head.toString("hex", at, at + hex.length / 2) === hex);
  } finally {
    closeSync(file);
  }
}

/** A build has no SSH key, no credentials and no files of this machine. */
function requireCloneable(engineRepo: string): void {
  const url = URL.parse(engineRepo);
  const cloneable = url !== null && ["https:", "http:", "git:"].includes(url.protocol);
  const right = "an https://, http:// or git:// URL without a user name or password, or the path of a source tarball";
  // Such a value is a secret and is not shown.
  if ((url?.password ?? "") !== "" || (cloneable && url.username !== "")) {
    const wrong = "it has a user name or a password in it, which state, logs and the image's history would show";
    throw new UserError({ key: "engineRepo", wrong, right });
  }
  if (!cloneable) {
    const wrong = "the image's build has neither an SSH key nor this machine's files, and cannot clone it";
    throw new UserError({ key: "engineRepo", value: engineRepo, wrong, right });
  }
}
