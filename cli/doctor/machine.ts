import { statfs } from "node:fs/promises";
import type { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import Docker from "dockerode";
import type { Problem } from "../../components/errors.ts";
import { mayRaiseMemlock } from "../../components/docker/memlock.ts";
import { replace } from "../chooseStack.ts";
import type { Network, Source } from "../network.ts";
import { sourceNames } from "../network.ts";
import { checkout } from "../paths.ts";
import { canInstallDebianPackages } from "../requirements/debian.ts";
import { clientProblem } from "../requirements/dockerClient.ts";
import { engineProblem } from "../requirements/dockerEngine.ts";
import { hasPlugins } from "../requirements/plugins.ts";
import type { Finding } from "./finding.ts";
import { missing, note, ok } from "./finding.ts";
import { gigabytes } from "../gigabytes.ts";

/**
 * Free space that a first update should find, in bytes (docs/operations.md): the engine's compiled objects, and the model
 * as a file, in the image, in the registry and in the build cache.
 */
const roomForImages = 20e9;

/**
 * The Docker Engine, and what it may do.
 * @param context the `docker context` that DOCKER_HOST is from
 * @param memlock the stack's setting
 */
export async function dockerFindings(context: string | undefined, memlock: string | undefined): Promise<Finding[]> {
  const [engine, client] = await Promise.all([engineProblem(context), clientProblem()]);
  return [
    ...(engine === undefined ? await engineFindings(new Docker(), memlock) : [installable(engine)]),
    client === undefined ? ok("docker client", "builds with BuildKit") : installable(client),
  ];
}

async function engineFindings(docker: Docker, memlock: string | undefined): Promise<Finding[]> {
  const info = (await docker.info()) as {
    ServerVersion: string;
    NCPU: number;
    MemTotal: number;
    DockerRootDir: string;
  };
  const has = `${info.ServerVersion}, ${info.NCPU} CPUs, ${gigabytes(info.MemTotal)} of memory`;
  return [
    ok("Docker Engine", has),
    memlockFinding(await mayRaiseMemlock(docker), memlock),
    ...(await diskFindings([info.DockerRootDir, checkout])),
  ];
}

/** @param memlock the stack's setting */
export function memlockFinding(mayRaise: boolean, memlock: string | undefined): Finding {
  if (mayRaise) return ok("locked memory", "containers may lock as much as they need");
  const found = "the Docker daemon may not raise a container's limit";
  if (memlock !== "unlimited") return ok("locked memory", `${found}; IPC_LOCK lifts it`);
  const right = "memlock: inherit, or unset";
  return missing({ key: "memlock", value: memlock, wrong: found, right });
}

/** The disks of folders of this machine. Docker's may be in a virtual machine, where it cannot be seen from here. */
async function diskFindings(folders: readonly string[]): Promise<Finding[]> {
  const free = await Promise.all(
    folders.map(async (folder) => {
      const disk = await statfs(folder).catch(() => undefined);
      return disk === undefined ? [] : [disk.bavail * disk.bsize];
    }),
  );
  return free.flat().length === 0 ? [] : [diskFinding(Math.min(...free.flat()))];
}

/** @param free bytes */
export function diskFinding(free: number): Finding {
  if (free >= roomForImages) return ok("disk", `${gigabytes(free)} free`);
  const found = `${gigabytes(free)} free; a first update takes up to ${gigabytes(roomForImages)}`;
  return note(
    "disk",
    found,
    "docker system df   (shows what uses the space; docker builder prune frees the build cache)",
  );
}

/** If `up` installs packages by itself here, that is the advice. */
function installable(problem: Problem): Finding {
  if (!canInstallDebianPackages()) return missing(problem);
  return note(problem.key, problem.wrong, "npm run up   (installs and starts it)");
}

/** Pulumi's CLI and its plugins: `up` gets both by itself, on any network. */
export async function pulumiFindings(pulumi: PulumiCommand | undefined, network: Network): Promise<Finding[]> {
  const source = network.canReach("Pulumi") ? "downloads" : "builds";
  return [
    pulumi === undefined
      ? note("Pulumi CLI", "is not installed", `npm run up   (${source} it, into .tools)`)
      : ok("Pulumi CLI", String(pulumi.version)),
    (await hasPlugins())
      ? ok("Pulumi plugins", "are installed")
      : ok("Pulumi plugins", network.canReach("Pulumi") ? "Pulumi downloads them" : "stand-ins take their place"),
  ];
}

/**
 * The sites that updates download from.
 * @param needed those that this stack needs
 */
export function networkFindings(network: Network, needed: readonly Source[]): Finding[] {
  // Pulumi's CLI is built, and its plugins have stand-ins.
  const isMissing = (source: Source) => !network.canReach(source) && needed.includes(source) && source !== "Pulumi";
  const reached = sourceNames.filter((source) => network.canReach(source));
  const unneeded = sourceNames.filter((source) => !network.canReach(source) && !isMissing(source));
  return [
    ...(reached.length === 0 ? [] : [ok("network", `reaches ${reached.join(", ")}`)]),
    ...(unneeded.length === 0
      ? []
      : [ok("network", `cannot reach ${unneeded.join(", ")}; this stack does not need them`)]),
    ...sourceNames.filter(isMissing).map((source) => missing(replace(source, network))),
  ];
}
