import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { platform, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { execa } from "execa";
import type { Problem } from "../../components/errors.ts";
import { UserError } from "../../components/errors.ts";
import { state } from "../paths.ts";
import type { Progress } from "../progress.ts";
import { canInstallDebianPackages, installDebianPackages } from "./debian.ts";
import { onPath } from "./onPath.ts";

/** How long a started engine may take until it answers, in ms. A first start on a slow disk was seen to take 8 s. */
const startTimeout = 60_000;

/**
 * Makes sure that a Docker Engine answers: installs it (root on Debian) and starts it (root) where that is safe.
 * @param context the `docker context` that DOCKER_HOST is from; undefined if the user set it, or nobody did
 * @throws UserError that names the command to do it by hand
 */
export async function ensureDockerEngine(progress: Progress, context?: string): Promise<void> {
  const refused = await ping();
  if (refused === undefined) return;
  const local = process.env["DOCKER_HOST"] === undefined;
  if (!local || refused.code === "EACCES" || process.getuid?.() !== 0 || platform() !== "linux") {
    throw new UserError(explain(refused, { host: process.env["DOCKER_HOST"], context }));
  }
  if (onPath("dockerd").length === 0) {
    if (!canInstallDebianPackages()) throw new UserError(explain(refused));
    // iptables: dockerd needs it for its networks, and only recommends it.
    await installDebianPackages(["docker.io", "iptables"], "Docker Engine", progress);
  }
  if ((await ping()) !== undefined) await progress.run("Docker Engine: starting", start);
}

/**
 * What keeps the Docker Engine from answering; undefined if it does. Nothing is installed or started.
 * @param context as for ensureDockerEngine
 */
export async function engineProblem(context?: string): Promise<Problem | undefined> {
  const refused = await ping();
  return refused && explain(refused, { host: process.env["DOCKER_HOST"], context });
}

/** @returns why the engine does not answer; undefined if it does */
async function ping(): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await new Docker().ping();
    return undefined;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

async function start(): Promise<void> {
  const log = join(state, "log", "dockerd.log");
  // systemd's own test for "is this system run by me": sd_booted(3).
  if (existsSync("/run/systemd/system")) {
    await execa("systemctl", ["start", "docker"], { reject: false });
  } else {
    mkdirSync(join(state, "log"), { recursive: true });
    const output = openSync(log, "a");
    spawn("dockerd", [], { detached: true, stdio: ["ignore", output, output] }).unref();
  }
  const deadline = Date.now() + startTimeout;
  let refused = await ping();
  while (refused !== undefined && Date.now() < deadline) {
    await sleep(250);
    refused = await ping();
  }
  if (refused !== undefined) {
    const said = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n").slice(-5).join("\n    ") : "";
    throw new UserError({
      key: "Docker Engine",
      wrong: `was started and does not answer (${refused.message})${said === "" ? "" : `; it said:\n    ${said}`}`,
      right: existsSync("/run/systemd/system") ? "see: journalctl -u docker" : `see: ${log}`,
    });
  }
}

/** Where the engine was looked for. */
interface Address {
  /** DOCKER_HOST; undefined: the usual socket. */
  readonly host?: string | undefined;
  /** The `docker context` that it is from; undefined if the user set it. */
  readonly context?: string | undefined;
}

/** How the engines of well-known contexts are started. */
const startOfContext: Readonly<Record<string, string>> = {
  "desktop-linux": "start Docker Desktop",
  colima: "colima start",
  rootless: "systemctl --user start docker",
};

/**
 * What to do about an engine that does not answer.
 * @param refused the error of connecting to it
 */
export function explain(refused: NodeJS.ErrnoException, { host, context }: Address = {}, system = platform()): Problem {
  const key = "Docker Engine";
  if (refused.code === "EACCES") {
    const socket = host ?? "unix:///var/run/docker.sock";
    return {
      key,
      wrong: `user ${userInfo().username} may not use it (no permission on ${socket})`,
      right: `sudo usermod -aG docker ${userInfo().username}   (then log in again)`,
    };
  }
  if (context !== undefined) {
    return {
      key,
      wrong: `is not running: docker context ${context} has it at ${host ?? ""} (${refused.message})`,
      right: `${startOfContext[context] ?? "start it"}, or choose another one: docker context use default`,
    };
  }
  if (host !== undefined) {
    return {
      key,
      wrong: `does not answer at DOCKER_HOST=${host} (${refused.message})`,
      right: "start it there, or unset DOCKER_HOST",
    };
  }
  if (system === "darwin") {
    return { key, wrong: "is not running", right: "open -a Docker   (installed by: brew install --cask docker)" };
  }
  const installed = onPath("dockerd").length > 0;
  return installed
    ? { key, wrong: "is not running", right: "sudo systemctl start docker" }
    : {
        key,
        wrong: "is not installed",
        right: "sudo apt-get install docker.io iptables   (or see docs.docker.com/engine/install)",
      };
}
