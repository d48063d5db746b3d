import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { ConcurrentUpdateError } from "@pulumi/pulumi/automation/index.js";
import type { Deployment } from "./deployment.ts";
import { deploymentOf, idOf } from "./deployment.ts";
import type { Leftover } from "./leftovers.ts";
import { describeLeftovers, foreignContainers, leftovers, removeLeftovers } from "./leftovers.ts";
import type { OperationOptions } from "./operation.ts";
import { OperationFailed } from "./operation.ts";
import type { Progress } from "./progress.ts";

/**
 * Clears up after a command that was killed. What it had begun to create on this machine is removed, because Pulumi knows
 * nothing of it, and it is in the way: it has the stack's ports, keeps the network, answers to the replicas' name.
 * Pulumi's refresh comes first: it takes the stack's lock, so that no command that still runs is robbed.
 */
export async function clearInterrupted(stack: Stack, signal: AbortSignal, progress: Progress): Promise<void> {
  const { pending_operations: pending } = await deploymentOf(stack);
  if (pending.length === 0) return;
  // Those cost money, and are found by Pulumi's user only.
  const onAws = pending.filter(({ resource }) => resource.type.startsWith("aws:"));
  if (onAws.length > 0) {
    progress.note(adviceOnAws(stack.name, onAws));
    return;
  }
  progress.note("the last command did not finish; checking what exists");
  await stack.refresh({ signal, clearPendingCreates: true });
  signal.throwIfAborted();
  await removeStray(stack, progress);
}

/**
 * Destroys a stack, also if containers that its state does not know keep the network, the volume or an image, and looks
 * whether all that it had on this machine is gone.
 * @throws OperationFailed if something is left
 */
export async function destroyWhole(stack: Stack, options: OperationOptions, progress: Progress): Promise<void> {
  await clearInterrupted(stack, options.signal, progress);
  const id = idOf(await deploymentOf(stack));
  options.signal.throwIfAborted();
  await destroyKnown(stack, options, progress);
  const forgotten = await leftovers(id);
  await removeLeftovers(forgotten);
  const left = await leftovers(id);
  if (left.length > 0) {
    throw new OperationFailed(`stack ${stack.name} is destroyed, but Docker still has: ${describeLeftovers(left)}`);
  }
  if (forgotten.length > 0) progress.note(`removed, too: ${describeLeftovers(forgotten)}`);
  const users = await foreignContainers(id);
  if (users.length > 0) progress.note(keptImages(users));
}

/** Why some images are still there. */
function keptImages(users: readonly string[]): string {
  return `kept the stack's images that other containers use: ${users.join(", ")}`;
}

async function destroyKnown(stack: Stack, options: OperationOptions, progress: Progress): Promise<void> {
  try {
    await stack.destroy(options);
  } catch (error) {
    const inUse = error instanceof ConcurrentUpdateError || options.signal.aborted;
    if (inUse || !(await removeStray(stack, progress))) throw error;
    await stack.destroy(options);
  }
}

/** What Docker has of a stack and its state does not know. Images have no ids there, and removing them is destroy's. */
export function strayOf({ resources }: Pick<Deployment, "resources">, found: readonly Leftover[]): Leftover[] {
  const known = new Set(resources.map(({ id }) => id));
  return found.filter(({ kind, id }) => kind !== "image" && !known.has(id));
}

/** @returns whether there was something to remove */
async function removeStray(stack: Stack, progress: Progress): Promise<boolean> {
  const state = await deploymentOf(stack);
  const stray = strayOf(state, await leftovers(idOf(state)));
  if (stray.length > 0) progress.note(`removing leftovers of a killed command: ${describeLeftovers(stray)}`);
  await removeLeftovers(stray);
  return stray.length > 0;
}

/** What to do about resources of an AWS account that may be there or not. */
export function adviceOnAws(stack: string, pending: Deployment["pending_operations"]): string {
  return [
    `the last command was killed while it worked on these resources, which may exist or not:`,
    ...pending.map(({ resource }) => `  ${resource.urn}`),
    `  npm run pulumi -- refresh --stack ${stack}   asks about each of them`,
  ].join("\n");
}
