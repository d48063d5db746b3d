import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import type { Problem } from "../../components/errors.ts";
import { UserError } from "../../components/errors.ts";
import { tools } from "../paths.ts";
import type { Progress } from "../progress.ts";
import { canInstallDebianPackages, installDebianPackages } from "./debian.ts";
import { onPath } from "./onPath.ts";

/** From this version on the docker client needs its buildx plugin to build with BuildKit (Docker's release notes). */
const needsBuildx = 23;

/**
 * Makes sure that `docker build` works with BuildKit, and that `docker` finds the engine that the user chose with
 * `docker context`: libraries only know DOCKER_HOST.
 *
 * Several clients may be on PATH, the first of them without buildx: the one that can build gets a link in .tools/bin,
 * which comes first on our PATH.
 * @throws UserError if there is none
 */
export async function ensureDockerClient(progress: Progress): Promise<void> {
  let client = await findClient();
  if (client === undefined && canInstallDebianPackages()) {
    await installDebianPackages(["docker.io"], "a docker client that can build", progress);
    client = await findClient();
  }
  if (client === undefined) throw new UserError(noClient());
  const link = join(tools, "bin", "docker");
  if (client !== link) {
    rmSync(link, { force: true });
    if (client !== onPath("docker")[0]) {
      mkdirSync(join(tools, "bin"), { recursive: true });
      symlinkSync(client, link);
    }
  }
}

/** What is wrong with the docker clients on PATH: undefined if one of them can build. */
export async function clientProblem(): Promise<Problem | undefined> {
  return (await findClient()) === undefined ? noClient() : undefined;
}

function noClient(): Problem {
  return {
    key: "docker client",
    wrong: onPath("docker").length === 0 ? "is not installed" : "cannot build with BuildKit: it has no buildx plugin",
    right: "sudo apt-get install docker-buildx-plugin   (Debian 13's own: docker-buildx)",
  };
}

/** Whether a client of this version builds with BuildKit. */
export function canBuild(version: string, hasBuildx: boolean): boolean {
  return hasBuildx || Number.parseInt(version, 10) < needsBuildx;
}

/**
 * Sets DOCKER_HOST to the engine of the current `docker context`, unless that is the usual socket.
 * @returns the context's name, if it was what set DOCKER_HOST
 */
export async function followDockerContext(): Promise<string | undefined> {
  if (process.env["DOCKER_HOST"] !== undefined) return undefined;
  const format = "{{.Name}} {{.Endpoints.docker.Host}}";
  const { stdout, exitCode } = await execa("docker", ["context", "inspect", "--format", format], { reject: false });
  if (exitCode !== 0) return undefined;
  const [name, host = ""] = stdout.split(" ");
  if (host === "" || host === "unix:///var/run/docker.sock") return undefined;
  process.env["DOCKER_HOST"] = host;
  return name;
}

async function findClient(): Promise<string | undefined> {
  for (const client of onPath("docker")) {
    const version = await execa(client, ["version", "--format", "{{.Client.Version}}"], { reject: false });
    const buildx = await execa(client, ["buildx", "version"], { reject: false });
    if (canBuild(version.stdout, buildx.exitCode === 0)) return client;
  }
  return undefined;
}
