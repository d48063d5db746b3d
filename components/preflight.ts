import * as pulumi from "@pulumi/pulumi";
import type { Account } from "./aws/account.ts";
import { inspectAccount, stackTags } from "./aws/account.ts";
import { checkTaskSize } from "./aws/service/taskSize.ts";
import type { Machine, Owner } from "./docker/machine.ts";
import { checkMachine, inspectMachine, roomOf } from "./docker/machine.ts";
import { readTls } from "./docker/tls.ts";
import type { Checked, Problem } from "./errors.ts";
import { attempt, UserError } from "./errors.ts";
import { requireEngineSource } from "./image/engineSource.ts";
import type { Model } from "./model/model.ts";
import { resolveModel } from "./model/model.ts";
import { slotsOf } from "./model/slots.ts";
import type { AwsSettings } from "./settings/aws.ts";
import type { DockerSettings } from "./settings/docker.ts";
import { portsOf } from "./settings/docker.ts";
import type { CheckedSettings, Configuration } from "./settings/schema.ts";
import { checkSettings } from "./settings/schema.ts";

/** A stack that can be brought up, as far as can be known before anything is built or changed. */
export type Plan = DockerPlan | AwsPlan;

export interface DockerPlan {
  target: "docker";
  settings: DockerSettings;
  model: Model;
  machine: Machine;
  /** Requests that a replica answers at once. */
  slots: number;
  /** The certificate, the rest of its chain and its key, in PEM format. Undefined: plain HTTP. */
  tls: string | undefined;
}

export interface AwsPlan {
  target: "aws";
  settings: AwsSettings;
  model: Model;
  account: Account;
}

/** The results of a stack's checks, each as far as the others' problems allow. */
export interface Examination {
  readonly settings: CheckedSettings;
  readonly source: Checked<void>;
  readonly model: Checked<Model>;
  readonly tls: Checked<string | undefined>;
  /** Empty, without problems, if the target is another one. */
  readonly machine: Checked<Pick<DockerPlan, "machine" | "slots">>;
}

/**
 * Checks the settings, the sources, the model and the machine. It only reads. Only Pulumi's engine can query an AWS
 * account.
 * @param owner whose containers' ports and memory do not count as in use
 */
export async function examine(configuration: Configuration, owner: Owner): Promise<Examination> {
  const settings = checkSettings(configuration);
  const { sound } = settings;
  const [source, model] = await Promise.all([
    attempt(() => {
      requireEngineSource(sound.engineRepo);
    }),
    checkModel(settings),
  ]);
  const tls = await attempt(() => (sound.target === "docker" ? readTls(sound) : undefined));
  const machine = sound.target === "docker" ? await checkDockerEngine(sound, model.found, owner) : unchecked;
  return { settings, source, model, tls, machine };
}

/**
 * Checks everything that a stack is built from, before anything is built or changed. It only reads.
 * @param stackId undefined in the preview of a new stack, which has nothing on this machine yet
 * @throws UserError with every problem found
 */
export async function preflight(configuration: Configuration, stackId: string | undefined): Promise<Plan> {
  const owner = { id: stackId, stack: pulumi.getStack() };
  const { settings: checked, source, model, tls, machine } = await examine(configuration, owner);
  const { settings, sound } = checked;
  const account = sound.target === "aws" ? await checkAwsAccount(sound, checked, model.found) : unchecked;

  const problems = [checked, source, model, tls, machine, account].flatMap((check) => check.problems);
  if (problems.length > 0) throw new UserError(...problems.map((problem) => hideSecret(problem, configuration)));
  if (settings?.target === "docker" && model.found !== undefined && machine.found !== undefined) {
    return { target: "docker", settings, model: model.found, ...machine.found, tls: tls.found };
  }
  if (settings?.target === "aws" && model.found !== undefined && account.found !== undefined) {
    return { target: "aws", settings, model: model.found, account: account.found };
  }
  throw new Error("a check found nothing, and no problem either");
}

const unchecked: Checked<never> = { found: undefined, problems: [] };

/** A model cannot be inspected if the settings name it incorrectly, or if its token is wrong. */
async function checkModel({ sound, invalid }: CheckedSettings): Promise<Checked<Model>> {
  const named = sound.modelUrl === undefined ? ["model", "modelUrl"] : ["modelUrl"];
  return [...named, "modelToken"].some((key) => invalid.has(key)) ? unchecked : resolveModel(sound);
}

async function checkDockerEngine(
  settings: Partial<DockerSettings>,
  model: Model | undefined,
  owner: Owner,
): Promise<Checked<Pick<DockerPlan, "machine" | "slots">>> {
  const { bindAddress = "127.0.0.1" } = settings;
  const { port, ...local } = portsOf(settings);
  // Without an address, no port can be tried.
  const ports = settings.bindAddress === undefined ? local : { port, ...local };
  const inspected = await attempt(() => inspectMachine(owner, bindAddress, ports));
  const { found: machine, problems } = inspected;
  if (machine === undefined) return { found: undefined, problems };
  const { replicas, threads } = settings;
  const slots = slotsOf(settings, roomOf(machine, { replicas, threads }), model?.memoryNeed);
  const demand = { replicas, threads, bindAddress, ports, memory: model?.memoryNeed(slots) };
  return { found: { machine, slots }, problems: checkMachine(machine, demand) };
}

async function checkAwsAccount(
  settings: Partial<AwsSettings>,
  { invalid }: CheckedSettings,
  model: Model | undefined,
): Promise<Checked<Account>> {
  const known = { ...settings };
  // The stack creates no VPC of its own, although the one to use is unknown.
  if (invalid.has("vpcId")) {
    delete known.zones;
    delete known.vpcCidr;
    delete known.egress;
  }
  const { found, problems } = await inspectAccount(known, model?.memoryNeed, stackTags());
  return { found, problems: [...problems, ...(model === undefined ? [] : checkTaskSize(settings, model))] };
}

function hideSecret(problem: Problem, { isSecret }: Configuration): Problem {
  return isSecret(problem.key) ? { ...problem, value: undefined } : problem;
}
