import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { vi } from "vitest";
import { addressForContainers, freePort } from "./net.ts";

/** A git server with the engine's repository, and one for its submodule. */
export interface GitServer {
  url: string;
  /** The engine's one commit. */
  commit: string;
  stop(): Promise<void>;
}

/** A folder of the engine that is a submodule, as llama.cpp is one of Microsoft's BitNet. It does not compile without. */
const submodule = "vendor";

/** @param tarball the engine's source, behind one top-level folder */
export async function startGitServer(tarball: string): Promise<GitServer> {
  const folder = await mkdtemp(join(tmpdir(), "bitnet-server-git-"));
  const [repository, inside] = [join(folder, "engine"), join(folder, submodule)];
  await mkdir(repository);
  await execa("tar", ["-xzf", tarball, "-C", repository, "--strip-components=1"]);
  await rename(join(repository, submodule), inside);
  const part = await commitAll(inside, "A part of the engine");
  const link = [`path = ${submodule}`, `url = ../${submodule}`].map((line) => `\t${line}\n`).join("");
  await writeFile(join(repository, ".gitmodules"), `[submodule "${submodule}"]\n${link}`);
  await git(repository, "init", "--quiet");
  await git(repository, "update-index", "--add", "--cacheinfo", `160000,${part},${submodule}`);
  // An empty folder is what a submodule is that nobody has fetched; without one, `git add` would take the link away.
  await mkdir(join(repository, submodule));
  const commit = await commitAll(repository, "The engine");

  const [address, port] = [await addressForContainers(), await freePort()];
  const exported = ["--export-all", `--base-path=${folder}`, `--listen=${address}`, `--port=${port}`, "--reuseaddr"];
  // Its own process group: `git daemon` is a child of `git`, which does not hand signals on.
  const daemon = spawn("git", ["daemon", ...exported], { stdio: "ignore", detached: true });
  await vi.waitUntil(() => listens(address, port), { timeout: 30_000 });
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

async function commitAll(repository: string, message: string): Promise<string> {
  await git(repository, "init", "--quiet");
  await git(repository, "add", "--all", "--force");
  await git(repository, "commit", "--quiet", "--message", message);
  return git(repository, "rev-parse", "HEAD");
}

async function git(repository: string, ...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"];
  return (await execa("git", [...identity, ...args], { cwd: repository })).stdout;
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
