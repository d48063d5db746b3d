import { readdirSync, readFileSync, rmSync } from "node:fs";
import { homedir, hostname, uptime } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { checkout } from "./paths.ts";

/** What Pulumi's file backend writes into a lock, as far as it matters here: pkg/backend/diy/lock.go, `lockContent`. */
const lockContent = z.object({
  pid: z.int().positive(),
  hostname: z.string(),
  timestamp: z.coerce.date(),
});

export type Lock = z.output<typeof lockContent>;

/** A lock whose owner was killed. */
export interface DeadLock extends Lock {
  readonly file: string;
}

/** A stack's locks, which block every command. */
export interface StaleLocks {
  /** Their owner was a process of this machine that no longer exists. */
  readonly dead: readonly DeadLock[];
  /** Unreadable files, at which Pulumi fails with a JSON parser's error. */
  readonly unreadable: readonly string[];
}

/** @param backend Pulumi's backend, such as file:///checkout/.state/backend; only files tell who has locked a stack */
export function staleLocks(stack: string, backend = process.env.PULUMI_BACKEND_URL): StaleLocks {
  const folder = folderOf(backend);
  if (folder === undefined) return { dead: [], unreadable: [] };
  const locks = join(folder, ".pulumi", "locks", "organization", "bitnet-server", stack);
  // Beside each lock is a file `.attrs` of the file backend's own, which Pulumi does not list.
  const names = listFolder(locks).filter((name) => name.endsWith(".json"));
  const found = names.map((name) => ({ file: join(locks, name), lock: readLock(join(locks, name)) }));
  return {
    dead: found.flatMap(({ file, lock }) =>
      typeof lock === "object" && hasLostItsOwner(lock) ? [{ ...lock, file }] : [],
    ),
    unreadable: found.filter(({ lock }) => lock === "unreadable").map(({ file }) => file),
  };
}

/** Removes dead locks. */
export function removeLocks(locks: readonly DeadLock[]): void {
  for (const { file } of locks) for (const path of [file, `${file}.attrs`]) rmSync(path, { force: true });
}

/** Whether a lock's owner is known to be gone. Nothing is known about processes of other machines. */
export function hasLostItsOwner({ hostname: host, pid, timestamp }: Lock): boolean {
  if (host !== hostname()) return false;
  // After a reboot another program may have the process id.
  const started = Date.now() - uptime() * 1000;
  return timestamp.getTime() < started || !isRunning(pid);
}

function isRunning(pid: number): boolean {
  if (isZombie(pid)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** A zombie, killed but not yet reaped by its parent, still has its id. Only Linux shows it: proc(5), stat. */
function isZombie(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** The folder of a file backend: `file://~/state` and `file://./state` are allowed, too. */
function folderOf(backend: string | undefined): string | undefined {
  const [, path] = /^file:\/\/([^?]+)/.exec(backend ?? "") ?? [];
  return path === undefined ? undefined : resolve(checkout, path.replace(/^~(?=\/|$)/, homedir()));
}

/** Empty if the folder does not exist, because the stack was never locked. */
function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Undefined if it was removed meanwhile. */
function readLock(file: string): Lock | "unreadable" | undefined {
  try {
    return lockContent.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? undefined : "unreadable";
  }
}
