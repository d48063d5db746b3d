import { createHash } from "node:crypto";
import { promises as dns } from "node:dns";
import { rmSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { vi } from "vitest";
import type { Answers } from "./aws.ts";
import { awsAnswers, awsComputed, nameServers } from "./aws.ts";

/** A resource as the program registered it, with Outputs resolved. */
export interface Registered {
  type: string;
  name: string;
  /** Secrets in clear; what is unknown in a preview is `undefined`. */
  inputs: Record<string, unknown>;
  /** Which of the inputs are secret, or have a secret in them. */
  secrets: string[];
}

export interface Run {
  resources: Registered[];
  /** The stack's outputs, secrets in clear. */
  outputs: Record<string, unknown>;
  /** Which outputs are secret. */
  secretOutputs: string[];
}

const project = "bitnet-server";
/** Each worker's own, as a build context is staged in a folder of that name. */
export const defaultStack = `program-test-${process.env.VITEST_POOL_ID ?? "0"}`;

/** What the mocks draw for a stack. */
export function idOf(stack: string): string {
  return createHash("sha256").update(stack).digest("hex").slice(0, 16);
}

/** A model that is in the checkout, so that its header is really read. */
const model = { modelUrl: "docker/server/self-test/model.gguf", engine: "ik_llama.cpp" };

export interface Surroundings {
  /** The stack's name. */
  stack?: string;
  /** What a provider's functions answer, where it is not what `awsAnswers` says; they may throw. */
  answers?: Answers;
  /** What public DNS says of every zone: its name servers, or how it refuses. Default: the account's. */
  publicDns?: readonly string[] | Error;
  /** Of the whole stack, as a user would register it in a program of theirs. */
  transformation?: pulumi.ResourceTransformation;
  /** Makes a resource somewhere; undefined: nothing to make, and `computed` says what is added. */
  create?: (
    type: string,
    name: string,
    inputs: Record<string, unknown>,
  ) => Promise<{ id: string; state: object } | undefined>;
}

/**
 * Runs the whole program, index.ts, against Pulumi's mocks.
 * @param config settings of the stack, over a model of the checkout
 * @param preview true: nothing exists yet, and what only a provider can tell is unknown
 */
export async function runProgram(
  config: Record<string, string> = {},
  preview = false,
  { stack = defaultStack, answers = {}, publicDns = nameServers, transformation, create }: Surroundings = {},
): Promise<Run> {
  const resources: Registered[] = [];
  vi.spyOn(dns.Resolver.prototype, "resolveNs").mockImplementation(() =>
    publicDns instanceof Error ? Promise.reject(publicDns) : Promise.resolve([...publicDns]),
  );
  await pulumi.runtime.setMocks(
    {
      newResource: async ({ type, name, inputs }) => {
        const given = Object.entries(inputs as object);
        const plain = Object.fromEntries(given.map(([key, value]) => [key, inClear(value)]));
        const secrets = given.filter(([, value]) => JSON.stringify(value).includes(secretMark)).map(([key]) => key);
        resources.push({ type, name, inputs: plain, secrets });
        const made = await create?.(type, name, plain);
        if (made !== undefined) return { id: made.id, state: { ...plain, ...made.state } };
        return preview
          ? { id: undefined, state: plain }
          : { id: `${name}-id`, state: { ...plain, ...computed(type, name, plain) } };
      },
      call: ({ token, inputs }) => (answers[token] ?? awsAnswers[token])?.(inputs as Record<string, unknown>) ?? {},
    },
    project,
    stack,
    preview,
  );
  pulumi.runtime.setAllConfig(namespaced({ ...model, ...config }));
  vi.resetModules();
  // The SDK takes a stack trace of every promise, and vitest maps its lines to the sources: half of all the time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 1;
  try {
    const program = await load(transformation);
    await pulumi.runtime.disconnect();
    return { resources, ...(await resolveOutputs(program)) };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    rmSync(`.build/${stack}`, { recursive: true, force: true });
  }
}

async function load(transformation: pulumi.ResourceTransformation | undefined): Promise<Record<string, unknown>> {
  let program: Record<string, unknown> = {};
  const run = async () => {
    program = { ...(await import("../../index.ts")).default };
  };
  if (transformation === undefined) await run();
  else {
    await pulumi.runtime.runInPulumiStack(async () => {
      pulumi.runtime.registerStackTransformation(transformation);
      await run();
    });
  }
  return program;
}

/** Of one type, such as docker:index/container:Container. */
export function ofType(run: Run, type: string): Registered[] {
  return run.resources.filter((resource) => resource.type === type);
}

function namespaced(config: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [`${project}:${key}`, value]));
}

/** How a secret is told from a value on the way to the engine: the SDK's runtime/rpc.ts, `specialSecretSig`. */
const secretMark = "1b47061264138c4ac30d75fd1eb44270";

function inClear(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inClear);
  if (typeof value !== "object" || value === null) return value;
  if ("__pulumiUnknown" in value) return undefined;
  if (Object.values(value).includes(secretMark) && "value" in value) return inClear(value.value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, inClear(inner)]));
}

/** What the real providers add to what they are given. */
function computed(type: string, name: string, inputs: Record<string, unknown>): object {
  if (type.startsWith("aws:")) return awsComputed(type, name, inputs);
  switch (type) {
    case "docker:index/image:Image":
      return { repoDigest: `registry/${name}@sha256:${"0".repeat(64)}` };
    case "random:index/randomPassword:RandomPassword":
      return { result: "generated-password" };
    case "random:index/randomId:RandomId":
      return { hex: idOf((inputs.keepers as { stack?: string }).stack ?? name) };
    default:
      return { name: `${name}-1234567` };
  }
}

async function resolveOutputs(program: Record<string, unknown>): Promise<Pick<Run, "outputs" | "secretOutputs">> {
  const outputs: Record<string, unknown> = {};
  const secretOutputs: string[] = [];
  for (const [key, value] of Object.entries(program)) {
    const output: pulumi.Output<unknown> = pulumi.output(value);
    outputs[key] = (await isKnown(output)) ? await valueOf(output) : undefined;
    if (await pulumi.isSecret(output)) secretOutputs.push(key);
  }
  return { outputs, secretOutputs };
}

/** The SDK has it on every Output, and not among its types. */
async function isKnown(output: pulumi.Output<unknown>): Promise<boolean> {
  return (output as unknown as { isKnown: Promise<boolean> }).isKnown;
}

async function valueOf(output: pulumi.Output<unknown>): Promise<unknown> {
  return new Promise((resolve) => {
    output.apply(resolve);
  });
}
