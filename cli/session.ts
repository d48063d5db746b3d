import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { LocalWorkspace } from "@pulumi/pulumi/automation/index.js";
import { UserError } from "../components/errors.ts";
import type { Network, Source } from "./network.ts";
import { probeNetwork } from "./network.ts";
import { offlineStack, offlineStackFile, prepareSources } from "../offline/index.ts";
import type { Choice, Selected } from "./chooseStack.ts";
import { chooseStack, defaultStack } from "./chooseStack.ts";
import { buildSources } from "./neededSources.ts";
import { checkout, shortName, stackFile, tools } from "./paths.ts";
import type { Progress } from "./progress.ts";
import { ensureDockerClient, followDockerContext } from "./requirements/dockerClient.ts";
import { ensureDockerEngine } from "./requirements/dockerEngine.ts";
import { ensureImage, hasImage } from "./requirements/image.ts";
import { hasPlugins, pluginFolder } from "./requirements/plugins.ts";
import { ensurePulumiCli } from "./requirements/pulumiCli.ts";
import type { Assignment } from "./assignments.ts";
import { assign } from "./assignments.ts";
import { readStack, StackText, writeStack } from "./stackSettings.ts";
import { prepareState } from "./state.ts";

/**
 * What a command needs on this machine: `state` only reads what Pulumi knows, `engine` also talks to Docker, `program`
 * also runs the program, `build` also builds.
 */
export type Need = "state" | "engine" | "program" | "build";

/** A stack, and a Pulumi CLI that can work on it. */
export interface Session {
  /** Its own name, for files, labels and people. */
  readonly stack: string;
  /** Its name as Pulumi is told it: perhaps with an organisation and a project. */
  readonly qualifiedName: string;
  readonly pulumi: PulumiCommand;
}

/**
 * Chooses the stack of a command and says so, before anything else; then makes this machine ready for it.
 * @param requested the stack that the user named with --stack
 * @param set settings to save for the stack before anything is made ready for it
 * @throws UserError that names what is missing and the command that installs it
 */
export async function openSession(
  requested: string | undefined,
  need: Need,
  progress: Progress,
  set: readonly Assignment[] = [],
): Promise<Session> {
  useProjectTools();
  const named = namedStack(requested);
  const network = probeOnce();
  let found: Promise<PulumiCommand> | undefined;
  const cli = () => (found ??= ensurePulumiCli(network, named !== undefined, progress));
  const { stack: qualifiedName, why } = await chooseStack({
    named,
    selected: async () => selectedStack(await cli()),
    network,
    needed: () => neededSources(need),
  });
  const stack = shortName(qualifiedName);
  progress.note(`stack ${stack}: ${why}`);
  // A wrong setting is told before Docker is installed or started for it.
  if (stack === offlineStack && need !== "state") writeStack(offlineStack, offlineText());
  if (set.length > 0) progress.note(assign(stack, set, need === "build"));
  const [pulumi] = await Promise.all([cli(), need === "state" ? undefined : prepareDocker(network, progress)]);
  if (need === "program" || need === "build") await prepareProgram(stack, need, progress);
  return { stack, qualifiedName, pulumi };
}

/**
 * Makes this machine ready for what works on no stack of the user's: what is missing is installed where that is safe.
 * @throws UserError that names what is missing and the command that installs it
 */
export async function prepareMachine(need: "state" | "engine", progress: Progress): Promise<PulumiCommand> {
  useProjectTools();
  const network = probeOnce();
  const [pulumi] = await Promise.all([
    ensurePulumiCli(network, true, progress),
    need === "state" ? undefined : prepareDocker(network, progress),
  ]);
  return pulumi;
}

/**
 * The stack that the user named, if any: for this command, or as for plain `pulumi`.
 * @throws UserError if Pulumi would refuse the name
 */
export function namedStack(requested: string | undefined, env: NodeJS.ProcessEnv = process.env): Choice | undefined {
  const { PULUMI_STACK: fromEnvironment = "" } = env;
  if (requested === undefined && fromEnvironment === "") return undefined;
  const [stack, where] = requested === undefined ? [fromEnvironment, "PULUMI_STACK"] : [requested, "--stack"];
  checkStackName(stack, where);
  return { stack, why: `named by ${where}` };
}

/** Pulumi's own rule (sdk/go/common/tokens/names.go), and no name of dots alone, which is a folder's. */
function checkStackName(stack: string, key: string): void {
  const parts = stack.split("/");
  if (parts.length <= 3 && parts.every((part) => /^[\w.-]{1,100}$/.test(part) && !/^\.*$/.test(part))) return;
  throw new UserError({
    key,
    value: stack,
    wrong: "is not the name of a stack",
    right: "1 to 100 letters, digits, hyphens, underscores and periods, such as dev or organization/bitnet-server/dev",
  });
}

/** The stack that Pulumi has selected. */
export async function selectedStack(pulumi: PulumiCommand): Promise<Selected | undefined> {
  return (await LocalWorkspace.create({ workDir: checkout, pulumiCommand: pulumi })).stack();
}

/** Only who runs the program needs what it is made from. */
async function neededSources(need: Need): Promise<Source[]> {
  return need === "state" || need === "engine" ? [] : sourcesOf(readStack(defaultStack));
}

/** The sites that an update of a stack takes something from. */
export async function sourcesOf(settings: StackText): Promise<Source[]> {
  const { values } = settings.resolve();
  const hasBase = await hasImage(values.baseImage ?? "");
  const ofImage = buildSources(values).filter((source) => !(source === "Docker Hub" && hasBase));
  return [...ofImage, ...((await hasPlugins()) ? [] : (["Pulumi"] as const))];
}

function probeOnce(): () => Promise<Network> {
  let probe: Promise<Network> | undefined;
  return () => (probe ??= probeNetwork());
}

/** Puts our own tools first on PATH, and tells Pulumi where its state is. */
export function useProjectTools(): void {
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

/** What Pulumi.offline.yaml says, or will when `up` has written it. */
function offlineText(): string {
  const file = stackFile(offlineStack);
  const existing = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  return offlineStackFile(existing, readFileSync(stackFile(defaultStack), "utf8"));
}

/** A stack's settings as `up` will have them, without writing any. */
export function settingsOf(stack: string): StackText {
  return stack === offlineStack ? new StackText(offlineText()) : readStack(stack);
}

async function prepareDocker(network: () => Promise<Network>, progress: Progress): Promise<void> {
  const [plugins] = await Promise.all([pluginFolder(network, progress), ensureDocker(progress)]);
  if (plugins !== undefined) appendPath(plugins);
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
  if (need === "build" && target === "docker" && baseImage !== undefined) await ensureImage(baseImage, progress);
}
