import { randomBytes } from "node:crypto";
import { execa } from "execa";
import { changedInputs } from "./compare.ts";
import type { Context, Resource } from "./provider.ts";
import { refuseUnknown, type Known } from "./refuseUnknown.ts";
import { serve } from "./serve.ts";
import { UNKNOWN, hasUnknown, isObject, textOf, type Properties, type Value } from "./values.ts";

/** The inputs that this project uses. */
const known: Known = {
  ...{ create: {}, update: {}, delete: {}, environment: {}, interpreter: {}, logging: {}, stdin: {}, triggers: {} },
};

/**
 * command:local:Command as pulumi-command 1.2.1 has it. Its stdout and stderr are not secret, whatever it was given: that
 * is for the program to say (additionalSecretOutputs).
 */
const command: Resource = {
  check: (news) => {
    refuseUnknown("command.local.Command", known, news);
    return news;
  },

  diff: (_state, oldInputs, news) => {
    const changes = changedInputs(oldInputs, news);
    const { triggers } = changes;
    return { changes: triggers ? { ...changes, triggers: { ...triggers, replace: true } } : changes };
  },

  create: async (inputs, context) => ({
    id: `${context.name}${randomBytes(4).toString("hex")}`,
    outputs: await run(inputs["create"], inputs, { stdout: "", stderr: "" }, context),
  }),

  update: (_id, inputs, state, context) => run(inputs["update"] ?? inputs["create"], inputs, state, context),

  delete: async (_id, state, context) => {
    await run(state["delete"], state, state, context);
  },
};

/** Runs a shell command, if there is one, and returns the resource's outputs: the inputs with stdout and stderr. */
async function run(script: Value | undefined, inputs: Properties, previous: Properties, context: Context) {
  const { stdout = "", stderr = "" } = previous;
  if (context.preview) {
    const output = script === undefined ? { stdout, stderr } : { stdout: UNKNOWN, stderr: UNKNOWN };
    return { ...inputs, ...output };
  }
  if (typeof script !== "string") return { ...inputs, stdout, stderr };
  const result = await execute(script, inputs, previousOutput(stdout, stderr), context);
  return { ...inputs, ...result };
}

/** What the last run printed, for the next one's environment; what is empty is left out. */
function previousOutput(stdout: Value, stderr: Value): Record<string, string> {
  const variables = { PULUMI_COMMAND_STDOUT: stdout, PULUMI_COMMAND_STDERR: stderr };
  return strings(Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== "")));
}

async function execute(script: string, inputs: Properties, previous: Record<string, string>, context: Context) {
  const [program = "/bin/sh", ...args] = list(inputs["interpreter"]) ?? ["/bin/sh", "-c"];
  const child = execa(program, [...args, script], {
    env: { ...strings(inputs["environment"]), ...previous },
    input: typeof inputs["stdin"] === "string" ? inputs["stdin"] : "",
    all: true,
    reject: false,
  });
  const shown = SHOWN[textOf(inputs["logging"] ?? "stdoutAndStderr")];
  if (shown) for await (const line of child.iterable({ from: shown })) context.progress(line);
  const { exitCode, signal, originalMessage, all, stdout, stderr } = await child;
  if (exitCode !== 0) {
    const failure = signal ? `signal: ${signal}` : exitCode ? `exit status ${exitCode}` : originalMessage;
    throw new Error(`${failure ?? "failed"}: running ${JSON.stringify(script)}:\n${all}`);
  }
  return { stdout, stderr };
}

/** Which of a command's streams is shown while it runs, by the input `logging`. */
const SHOWN: Readonly<Record<string, "stdout" | "stderr" | "all">> = {
  stdout: "stdout",
  stderr: "stderr",
  stdoutAndStderr: "all",
};

function list(value: Value | undefined): string[] | undefined {
  return Array.isArray(value) && value.length > 0 ? value.map(textOf) : undefined;
}

function strings(value: Value | undefined): Record<string, string> {
  if (!isObject(value) || hasUnknown(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, textOf(entry)]));
}

await serve({ version: "1.2.1", resources: { "command:local:Command": command } });
