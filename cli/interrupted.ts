import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { ConcurrentUpdateError } from "@pulumi/pulumi/automation/index.js";
import { z } from "zod";
import type { Leftover } from "./leftovers.ts";
import { describeLeftovers, leftovers, removeLeftovers } from "./leftovers.ts";
import type { OperationOptions } from "./operation.ts";
import { shortName } from "./paths.ts";
import type { Progress } from "./progress.ts";

/** What matters here of a stack's state. */
const deployment = z.object({
  resources: z.array(z.object({ id: z.string().optional() })).default([]),
  /** What was being done when Pulumi was killed, and may be done or not. */
  pending_operations: z.array(z.object({ resource: z.object({ urn: z.string(), type: z.string() }) })).default([]),
});

export type State = z.output<typeof deployment>;

/**
 * Clears up after a command that was killed. What it had begun to create on this machine is removed, because Pulumi knows
 * nothing of it, and it is in the way: it has the stack's ports, keeps the network, answers to the replicas' name.
 * Pulumi's refresh comes first: it takes the stack's lock, so that no command that still runs is robbed.
 */
export async function clearInterrupted(stack: Stack, signal: AbortSignal, progress: Progress): Promise<void> {
  const { pending_operations: pending } = await stateOf(stack);
  if (pending.length === 0) return;
  // Those cost money, and are found by Pulumi's user only.
  const onAws = pending.filter(({ resource }) => resource.type.startsWith("aws:"));
  if (onAws.length > 0) {
    progress.note(adviceOnAws(stack.name, onAws));
    return;
  }
  progress.note("the last command did not come to its end: looking what is really there");
  await stack.refresh({ signal, clearPendingCreates: true });
  await removeStray(stack, progress);
}

/** Destroys a stack, also if containers that its state does not know keep the network, the volume or an image. */
export async function destroyWhole(stack: Stack, options: OperationOptions, progress: Progress): Promise<void> {
  await clearInterrupted(stack, options.signal, progress);
  try {
    await stack.destroy(options);
  } catch (error) {
    const inUse = error instanceof ConcurrentUpdateError || options.signal.aborted;
    if (inUse || !(await removeStray(stack, progress))) throw error;
    await stack.destroy(options);
  }
}

/** What Docker has of a stack and its state does not know. Images have no ids there, and removing them is destroy's. */
export function strayOf({ resources }: State, found: readonly Leftover[]): Leftover[] {
  const known = new Set(resources.map(({ id }) => id));
  return found.filter(({ kind, id }) => kind !== "image" && !known.has(id));
}

/** @returns whether there was something to remove */
async function removeStray(stack: Stack, progress: Progress): Promise<boolean> {
  const stray = strayOf(await stateOf(stack), await leftovers(shortName(stack.name)));
  if (stray.length > 0) progress.note(`removing what a killed command had left: ${describeLeftovers(stray)}`);
  await removeLeftovers(stray);
  return stray.length > 0;
}

async function stateOf(stack: Stack): Promise<State> {
  const exported = await stack.exportStack();
  return deployment.parse(exported.deployment ?? {});
}

/** What to do about resources of an AWS account that may be there or not. */
export function adviceOnAws(stack: string, pending: State["pending_operations"]): string {
  return [
    `the last command was killed while it worked on the following, which AWS may have or not:`,
    ...pending.map(({ resource }) => `  ${resource.urn}`),
    `  npm run pulumi -- refresh --stack ${stack}   asks about each of them`,
  ].join("\n");
}
