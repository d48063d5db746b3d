import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { LocalWorkspace } from "@pulumi/pulumi/automation/index.js";
import type { Network } from "../offline/network.ts";
import { probeNetwork } from "../offline/network.ts";
import { prepareSources } from "../offline/prepare.ts";
import { offlineStack, offlineStackFile } from "../offline/stack.ts";
import { chooseStack, defaultStack } from "./chooseStack.ts";
import { checkout, stackFile, tools } from "./paths.ts";
import type { Progress } from "./progress.ts";
import { ensureDockerClient, followDockerContext } from "./requirements/dockerClient.ts";
import { ensureDockerEngine } from "./requirements/dockerEngine.ts";
import { ensureImage } from "./requirements/image.ts";
import { canRaiseMemlock } from "./requirements/memlock.ts";
import { pluginFolder } from "./requirements/plugins.ts";
import { ensurePulumiCli } from "./requirements/pulumiCli.ts";
import { readStack, writeStack } from "./stackSettings.ts";
import { prepareState } from "./state.ts";

/**
 * What a command needs of this machine: `state` only reads what Pulumi knows, `engine` also talks to Docker, `program`
 * also runs the program, `build` also builds.
 */
export type Need = "state" | "engine" | "program" | "build";

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
  const selected = async () => (await LocalWorkspace.create({ workDir: checkout, pulumiCommand: pulumi })).stack();
  const { stack, why } = await chooseStack(requested, selected, network);
  if (why !== undefined) progress.note(`stack ${stack}: ${why}`);
  if (stack === offlineStack && need !== "state") writeOfflineStack();
  if (need === "program" || need === "build") await prepareProgram(stack, need, progress);
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

function writeOfflineStack(): void {
  const file = stackFile(offlineStack);
  const existing = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  writeStack(offlineStack, offlineStackFile(existing, readFileSync(stackFile(defaultStack), "utf8")));
}

async function ensureDocker(progress: Progress): Promise<void> {
  await ensureDockerEngine(progress, await followDockerContext());
  await ensureDockerClient(progress);
}

/** Prepares what the program takes from this machine, and what it builds from; nothing if the settings are wrong. */
async function prepareProgram(stack: string, need: "program" | "build", progress: Progress): Promise<void> {
  const settings = readStack(stack);
  const { values, isRight } = settings.resolve();
  if (!isRight) return;
  await prepareSources(settings, progress);
  const { target, baseImage } = values;
  if (need !== "build" || target !== "docker" || baseImage === undefined) return;
  await ensureImage(baseImage, progress);
  if (!settings.has("memlock") && !(await canRaiseMemlock(baseImage))) {
    settings.set("memlock", "inherit");
    writeStack(stack, settings.toString());
    progress.note(`memlock: inherit, now in ${stackFile(stack)}: this Docker daemon may not raise the limit itself`);
  }
}
