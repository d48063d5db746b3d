import type { OutputMap } from "@pulumi/pulumi/automation/index.js";
import OpenAI, { APIError } from "openai";
import { Agent, fetch as undiciFetch } from "undici";
import { converse } from "../chat.ts";
import { deploymentOf, idOf } from "../deployment.ts";
import type { LogOptions } from "../logs.ts";
import { writeLogs } from "../logs.ts";
import { OperationFailed, operate } from "../operation.ts";
import { openSession } from "../session.ts";
import { describeStatus, look } from "../status.ts";
import { show, showOutputs } from "../summary.ts";
import type { Invocation } from "./invocation.ts";

/** How the outputs are to be printed. */
export interface OutputsOptions {
  /** One output alone, without its name. */
  readonly name?: string;
  readonly json: boolean;
  readonly showSecrets: boolean;
}

/** A stack's outputs. */
export async function outputs(invocation: Invocation, { name, json, showSecrets }: OutputsOptions): Promise<string> {
  const { result } = await readOutputs(invocation, "outputs");
  if (name !== undefined && result[name] === undefined) {
    throw new OperationFailed(
      `output: "${name}"\n  wrong: there is none of that name\n  right: ${Object.keys(result).join(", ")}`,
    );
  }
  if (name !== undefined) return show(result, name, showSecrets);
  return json ? JSON.stringify(plainValues(result, showSecrets), undefined, 2) : showOutputs(result, showSecrets);
}

/**
 * A stack's outputs, and its id for commands that ask Docker.
 * @throws OperationFailed if it has no outputs, and so is not up
 */
async function readOutputs(invocation: Invocation, command: string, need: "state" | "engine" = "state") {
  const session = await openSession(invocation.stack, need, invocation.progress);
  const settings = { ...invocation, command, open: "read" as const };
  const { result, id } = (
    await operate(session, settings, async (stack) => ({
      result: await stack.outputs(),
      id: need === "engine" ? idOf(await deploymentOf(stack)) : undefined,
    }))
  ).result;
  if (Object.keys(result).length === 0)
    throw new OperationFailed(`stack ${session.stack} is not up: npm run up -- --stack ${session.qualifiedName}`);
  return { session, result, id };
}

/** A conversation with a stack's model. */
export async function chat(invocation: Invocation, system: string | undefined): Promise<void> {
  const { result, session } = await readOutputs(invocation, "chat");
  const conversation = {
    openai: openAi(show(result, "url"), show(result, "apiKey", true), result.statsUrl !== undefined),
    model: show(result, "model"),
    system,
  };
  invocation.progress.note(`${conversation.model} of stack ${session.stack}; Ctrl-D ends the conversation`);
  const streams = { input: process.stdin, output: process.stdout, errors: process.stderr };
  try {
    await converse(conversation, streams, invocation.signal);
  } catch (error) {
    if (error instanceof APIError) throw new OperationFailed(error.message, { cause: error });
    throw error;
  }
}

/**
 * Checks a stack on AWS from outside, a line for each check.
 * @throws OperationFailed with all lines, if any check has failed
 */
export async function verifyAws(invocation: Invocation): Promise<string> {
  const { result, session } = await readOutputs(invocation, "verify-aws");
  const [region, service] = [show(result, "region"), show(result, "service")];
  if (region === "" || service === "") {
    const right = `a stack whose target is aws, after an \`up\` of this version: npm run verify-aws -- --stack NAME`;
    throw new OperationFailed(
      `stack: "${session.stack}"\n  wrong: its outputs name no service of ECS\n  right: ${right}`,
    );
  }
  const { describeChecks, verifyAws } = await import("../verifyAws.ts");
  const openai = openAi(show(result, "url"), show(result, "apiKey", true), false);
  const [healthUrl, model] = [show(result, "healthUrl"), show(result, "model")];
  const checks = await verifyAws({ region, service, healthUrl, model, openai });
  const lines = describeChecks(checks);
  const failed = checks.filter(({ ok }) => !ok).length;
  if (failed > 0)
    throw new OperationFailed(`${lines}\n\nstack ${session.stack}: ${failed} of ${checks.length} checks failed`);
  return `${lines}\n\nstack ${session.stack}: all ${checks.length} checks passed`;
}

/** @param isLocal on this machine nobody is in between, and a certificate need not name the address */
function openAi(baseURL: string, apiKey: string, isLocal: boolean): OpenAI {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: !isLocal } });
  // Both have to come from the same version of undici.
  const options = { fetch: undiciFetch as unknown as typeof fetch, fetchOptions: { dispatcher } };
  return new OpenAI({ baseURL, apiKey: apiKey || "none", ...options });
}

/** What a stack is doing. */
export async function status(invocation: Invocation, json: boolean): Promise<string> {
  const { result, session, id } = await readOutputs(invocation, "status", "engine");
  // AWS has none.
  const status = await look(id, show(result, "statsUrl") || undefined);
  if (json) return JSON.stringify(status, undefined, 2);
  const facts = ["url", "model", "image"].map((name) => `${name.padEnd(9)}  ${show(result, name)}`);
  return [`stack ${session.stack} is up`, ...facts, "", describeStatus(status)].join("\n");
}

/** What a stack's containers print. */
export async function logs(invocation: Invocation, options: LogOptions): Promise<void> {
  const { session, id } = await readOutputs(invocation, "logs", "engine");
  const found = id === undefined ? 0 : await writeLogs(id, options, process.stdout, invocation.signal);
  if (found === 0) throw new OperationFailed(`stack ${session.stack} has no containers on this machine`);
}

function plainValues(result: OutputMap, showSecrets: boolean): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(result).map(([key, { value, secret }]) => [key, secret && !showSecrets ? "[secret]" : value]),
  );
}
