import { existsSync } from "node:fs";
import { generatedModel, offlineStack } from "../../offline/index.ts";
import { confirm } from "../confirm.ts";
import { duration } from "../duration.ts";
import { describeChanges } from "../engineEvents.ts";
import { stateVariables } from "../failure.ts";
import { cleanUpAfterKill, destroyCompletely } from "../recovery.ts";
import { operate } from "../operation.ts";
import { stackFile } from "../paths.ts";
import { openSession } from "../session.ts";
import { readStack } from "../stackSettings.ts";
import { summarize } from "../summary.ts";
import { removeBuildFolder } from "./buildFolder.ts";
import type { Invocation } from "./invocation.ts";

/** Builds, pushes and runs a stack, and asks it a question. */
export async function up(invocation: Invocation): Promise<string> {
  const began = Date.now();
  const session = await openSession(invocation.stack, "build", invocation.progress, invocation.set);
  const settings = { ...invocation, command: "up", open: "select" as const };
  const { result, run } = await operate(session, settings, async (stack, options) => {
    await cleanUpAfterKill(stack, options.signal, invocation.progress);
    options.signal.throwIfAborted();
    return stack.up(options);
  });
  const took = duration(Date.now() - began);
  const isTestModel = readStack(session.stack).get("modelUrl") === generatedModel.modelUrl;
  const summary = summarize(session.stack, result.outputs, describeChanges(run.changes), took, isTestModel);
  // On a closed network plain `pulumi` has no plugins.
  const variables = session.stack === offlineStack ? "" : stateVariables();
  return variables === "" ? summary : `${summary}\n\nfor plain \`pulumi\` to see this stack: export ${variables}`;
}

/** Shows what `up` would do. A stack name without a settings file is taken for a typo, and not created. */
export async function preview(invocation: Invocation, json: boolean): Promise<string> {
  const session = await openSession(invocation.stack, "program", invocation.progress, invocation.set);
  const open = existsSync(stackFile(session.stack)) ? ("create" as const) : ("read" as const);
  const settings = { ...invocation, command: "preview", open };
  const { run } = await operate(session, settings, (stack, options) => stack.preview(options));
  const { planned, changes } = run;
  if (json)
    return JSON.stringify({ stack: session.stack, changes: Object.fromEntries(changes), steps: planned }, undefined, 2);
  const lines = planned.map(({ op, resource }) => `  ${op.padEnd(18)} ${resource}`);
  return [...lines, `stack ${session.stack}: ${describeChanges(changes, "future")}`].join("\n");
}

/** Updates Pulumi's state to match what is running. */
export async function refresh(invocation: Invocation): Promise<string> {
  const session = await openSession(invocation.stack, "engine", invocation.progress);
  const settings = { ...invocation, command: "refresh", open: "read" as const };
  const { run } = await operate(session, settings, (stack, options) => stack.refresh(options));
  return `stack ${session.stack} refreshed: ${describeChanges(run.changes)}`;
}

/**
 * Removes everything that a stack created, and checks that it is gone.
 * @param yes whether to skip the question
 */
export async function destroy(invocation: Invocation, yes: boolean): Promise<string> {
  const session = await openSession(invocation.stack, "engine", invocation.progress);
  const { stack } = session;
  if (!yes) {
    const command = `npm run destroy -- --stack ${session.qualifiedName} --yes`;
    await confirm(`Remove everything that stack ${stack} created?`, command, invocation.signal);
  }
  const began = Date.now();
  const settings = { ...invocation, command: "destroy", open: "read" as const };
  const { run } = await operate(session, settings, (opened, options) =>
    destroyCompletely(opened, options, invocation.progress),
  );
  removeBuildFolder(stack);
  if (run.changes.size === 0) return `stack ${stack} is destroyed: there was nothing to remove`;
  return `stack ${stack} is destroyed: ${describeChanges(run.changes)}, ${duration(Date.now() - began)}; its containers, networks and volumes are gone`;
}
