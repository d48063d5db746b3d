import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { LocalWorkspace } from "@pulumi/pulumi/automation/index.js";
import type { Network } from "../offline/network.ts";
import { probeNetwork } from "../offline/network.ts";
import { prepareSources } from "../offline/prepare.ts";
import { offlineStack, offlineStackFile } from "../offline/stack.ts";
import { checkout, stackFile, tools } from "./paths.ts";
import type { Progress } from "./progress.ts";
import { ensureDockerClient, followDockerContext } from "./requirements/dockerClient.ts";
import { ensureDockerEngine } from "./requirements/dockerEngine.ts";
import { canRaiseMemlock } from "./requirements/memlock.ts";
import { pluginFolder } from "./requirements/plugins.ts";
import { ensurePulumiCli } from "./requirements/pulumiCli.ts";
import { readStack, writeStack } from "./stackSettings.ts";
import { prepareState } from "./state.ts";

/** The stack where the network is open. */
const defaultStack = "dev";

/** Pulumi.yaml's default for `baseImage`. */
const defaultBaseImage = "debian:trixie-slim";

/**
 * What a command needs of this machine: `state` only reads what Pulumi knows, `engine` also talks to Docker, `build`
 * also builds.
 */
export type Need = "state" | "engine" | "build";

/** A stack, and a Pulumi CLI that can work on it. */
export interface Session {
  readonly stack: string;
  readonly pulumi: PulumiCommand;
}

/**
 * Makes this machine ready for a command on a stack.
 * @param requested the stack that the user named; else the one that is up, else the network decides
 * @throws UserError that names what is missing and the command that installs it
 */
export async function openSession(requested: string | undefined, need: Need, progress: Progress): Promise<Session> {
  const { pulumi, network } = await prepareMachine(need, progress);
  const stack = requested ?? (await stackInUse(pulumi)) ?? chooseStack(await network(), progress);
  if (stack === offlineStack && need !== "state") writeOfflineStack();
  if (need === "build") await prepareBuild(stack, progress);
  return { stack, pulumi };
}

/**
 * Makes this machine ready: what is missing is installed where that is safe.
 * @throws UserError that names what is missing and the command that installs it
 */
export async function prepareMachine(need: Need, progress: Progress) {
  useProjectTools();
  let probe: Promise<Network> | undefined;
  const network = () => (probe ??= probeNetwork());

  const [pulumi, plugins] = await Promise.all([
    ensurePulumiCli(network, progress),
    need === "state" ? undefined : pluginFolder(network),
    need === "state" ? undefined : ensureDocker(progress),
  ]);
  if (plugins !== undefined) appendPath(plugins);
  return { pulumi, network };
}

/** Puts our own tools first on PATH, and tells Pulumi where its state is. */
function useProjectTools(): void {
  const node = join(checkout, "node_modules", "node", "bin");
  process.env.PATH = [join(tools, "bin"), node, process.env.PATH].join(delimiter);
  Object.assign(process.env, prepareState(), {
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // Docker before version 23 builds with BuildKit only if told to.
    DOCKER_BUILDKIT: "1",
  });
}

/** Last on PATH: an official plugin that someone put there comes first. */
function appendPath(folder: string): void {
  process.env.PATH = [process.env.PATH, folder].join(delimiter);
}

/** The selected stack, as for plain `pulumi`, if there is anything of it: the network may have changed since its `up`. */
async function stackInUse(pulumiCommand: PulumiCommand): Promise<string | undefined> {
  const selected = await (await LocalWorkspace.create({ workDir: checkout, pulumiCommand })).stack();
  return (selected?.resourceCount ?? 0) > 0 ? selected?.name : undefined;
}

function chooseStack(network: Network, progress: Progress): string {
  const stack = network.open ? defaultStack : offlineStack;
  const why = network.open ? "the network is open" : network.reason;
  progress.note(`stack ${stack}: ${why}`);
  return stack;
}

function writeOfflineStack(): void {
  const file = stackFile(offlineStack);
  const existing = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  writeStack(offlineStack, offlineStackFile(existing, readFileSync(stackFile(defaultStack), "utf8")));
}

async function ensureDocker(progress: Progress): Promise<void> {
  await followDockerContext();
  await ensureDockerEngine(progress);
  await ensureDockerClient(progress);
}

async function prepareBuild(stack: string, progress: Progress): Promise<void> {
  const settings = readStack(stack);
  await prepareSources(settings, progress);
  if (settings.has("memlock")) return;
  if (!(await canRaiseMemlock(settings.get("baseImage") ?? defaultBaseImage))) {
    settings.set("memlock", "inherit");
    writeStack(stack, settings.toString());
    progress.note(`memlock: inherit, now in ${stackFile(stack)}: this Docker daemon may not raise the limit itself`);
  }
}
