import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { addressForContainers, freePort } from "./net.ts";

/** A git server with one repository. */
export interface GitServer {
  url: string;
  /** The repository's one commit. */
  commit: string;
  stop(): Promise<void>;
}

/** @param tarball what the repository holds, behind one top-level folder */
export async function startGitServer(tarball: string): Promise<GitServer> {
  const folder = await mkdtemp(join(tmpdir(), "bitnet-server-git-"));
  const repository = join(folder, "engine");
  await mkdir(repository);
  await execa("tar", ["-xzf", tarball, "-C", repository, "--strip-components=1"]);
  const identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
  const git = (...args: string[]) => execa("git", [...identity, ...args], { cwd: repository });
  await git("init", "--quiet");
  await git("add", "--all", "--force");
  await git("commit", "--quiet", "--message", "The engine");
  const { stdout: commit } = await git("rev-parse", "HEAD");

  const [address, port] = [await addressForContainers(), await freePort()];
  const exported = ["--export-all", `--base-path=${folder}`, `--listen=${address}`, `--port=${port}`, "--reuseaddr"];
  // Its own process group: `git daemon` is a child of `git`, which does not hand signals on.
  const daemon = spawn("git", ["daemon", ...exported], { stdio: "ignore", detached: true });
  while (!(await listens(address, port))) await sleep(50);
  return {
    url: `git://${address}:${port}/engine`,
    commit,
    async stop() {
      if (daemon.pid !== undefined) process.kill(-daemon.pid);
      await once(daemon, "exit");
      await rm(folder, { recursive: true });
    },
  };
}

async function listens(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  return new Promise((resolve) => {
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}
