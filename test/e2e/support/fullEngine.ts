import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { execa } from "execa";
import { vi } from "vitest";

/** A Docker Engine of its own whose disk is full. */
export interface FullEngine extends AsyncDisposable {
  /** For DOCKER_HOST. */
  host: string;
  docker: Docker;
}

/** Why such an engine cannot be had here; undefined where it can. */
export function noFullEngineBecause(): string | undefined {
  return platform() === "linux" && process.getuid?.() === 0
    ? undefined
    : "a second Docker Engine, on a small disk of its own, can only be started by root on Linux";
}

/**
 * Starts an engine with its data on a file system in memory, in a network of its own, so that it leaves this machine's
 * firewall alone; gives it an image, then fills the file system up.
 */
export async function startFullEngine(image: string): Promise<FullEngine> {
  const folder = await mkdtemp(join(tmpdir(), "bitnet-server-engine-"));
  const data = join(folder, "data");
  await mkdir(data);
  await execa("mount", ["-t", "tmpfs", "-o", "size=512m", "tmpfs", data]);
  const socket = join(folder, "docker.sock");
  const host = `unix://${socket}`;
  const options = [`--data-root=${data}`, `--exec-root=${folder}/exec`, `--pidfile=${folder}/pid`, `--host=${host}`];
  const daemon = spawn("unshare", ["--net", "--", "dockerd", ...options], { stdio: "ignore" });
  const engine: FullEngine = {
    host,
    docker: new Docker({ socketPath: socket }),
    async [Symbol.asyncDispose]() {
      if (daemon.kill("SIGTERM")) await once(daemon, "exit");
      await execa("umount", ["--lazy", data]);
      await rm(folder, { recursive: true });
    },
  };
  try {
    const answers = async () => {
      if (daemon.exitCode !== null) throw new Error("dockerd ended");
      return engine.docker.ping().then(Boolean, () => false);
    };
    await vi.waitUntil(answers, { timeout: 60_000 });
    await execa("docker", ["save", image], { buffer: false }).pipe("docker", ["--host", host, "load"]);
    await execa("dd", ["if=/dev/zero", `of=${data}/filler`, "bs=64k"], { reject: false });
    return engine;
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}
