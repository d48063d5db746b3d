import { readFileSync } from "node:fs";
import { execa } from "execa";
import { UserError } from "../../components/errors.ts";
import type { Progress } from "../progress.ts";

let queue: Promise<unknown> = Promise.resolve();

/** Whether packages may be installed here without asking: a Debian, and we are root. */
export function canInstallDebianPackages(): boolean {
  return isDebian(readOsRelease()) && process.getuid?.() === 0;
}

/**
 * Debian itself: its children have other packages under the same names (Ubuntu's `chromium` is no browser).
 * @param osRelease the text of /etc/os-release
 */
export function isDebian(osRelease: string): boolean {
  return /^ID="?debian"?$/m.test(osRelease);
}

/**
 * Installs Debian packages, one call at a time. On a terminal it asks first; elsewhere it goes ahead.
 * @param purpose what they are for, in the line that says so
 * @throws UserError that names the command, where packages must not be installed, or the user does not want it
 */
export async function installDebianPackages(
  packages: readonly string[],
  purpose: string,
  progress: Progress,
): Promise<void> {
  const byHand = `apt-get install --no-install-recommends ${packages.join(" ")}`;
  if (!canInstallDebianPackages()) {
    throw new UserError({
      key: purpose,
      wrong: "is missing, and is only installed by itself for root on Debian",
      right: `sudo ${byHand}   (or what your system calls them)`,
    });
  }
  // apt-get takes a lock and fails if another one runs.
  const turn = queue.then(async () => {
    if (!(await progress.agree(`Install the Debian packages ${packages.join(", ")} for ${purpose}?`))) {
      throw new UserError({ key: purpose, wrong: "is missing, and was not to be installed", right: byHand });
    }
    await progress.run(`installing Debian packages for ${purpose}: ${packages.join(" ")}`, () => install(packages));
  });
  queue = turn.catch(() => undefined);
  await turn;
}

async function install(packages: readonly string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await execa("apt-get", ["update"], { env });
  await execa("apt-get", ["install", "-y", "--no-install-recommends", ...packages], { env });
}

function readOsRelease(): string {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}
