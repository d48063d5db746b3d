import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { ConcurrentUpdateError } from "@pulumi/pulumi/automation/index.js";
import type { Deployment } from "./deployment.ts";
import { deploymentOf, idOf } from "./deployment.ts";
import type { DockerResource } from "./dockerResources.ts";
import { describeResources, foreignContainers, dockerResourcesOf, removeResources } from "./dockerResources.ts";
import type { OperationOptions } from "./operation.ts";
import { OperationFailed } from "./operation.ts";
import type { Progress } from "./progress.ts";

/**
 * Clears up after a command that was killed. What it had begun to create on this machine is removed, because Pulumi knows
 * nothing of it, and it is in the way: it has the stack's ports, keeps the network, answers to the replicas' name.
 * Pulumi's refresh comes first: it takes the stack's lock, so that no command that still runs is robbed.
 */
export async function cleanUpAfterKill(stack: Stack, signal: AbortSignal, progress: Progress): Promise<void> {
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
  await removeOrphans(stack, progress);
}

/**
 * Destroys a stack, also if containers that its state does not know keep the network, the volume or an image, and looks
 * whether all that it had on this machine is gone.
 * @throws OperationFailed if something is left
 */
export async function destroyCompletely(stack: Stack, options: OperationOptions, progress: Progress): Promise<void> {
  await cleanUpAfterKill(stack, options.signal, progress);
  const id = idOf(await deploymentOf(stack));
  options.signal.throwIfAborted();
  await destroyKnown(stack, options, progress);
  const forgotten = await dockerResourcesOf(id);
  await removeResources(forgotten);
  const left = await dockerResourcesOf(id);
  if (left.length > 0) {
    throw new OperationFailed(`stack ${stack.name} is destroyed, but Docker still has: ${describeResources(left)}`);
  }
  if (forgotten.length > 0) progress.note(`removed, too: ${describeResources(forgotten)}`);
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
    if (inUse || !(await removeOrphans(stack, progress))) throw error;
    await stack.destroy(options);
  }
}

/** What Docker has of a stack and its state does not know. Images have no ids there, and removing them is destroy's. */
export function orphansOf(
  { resources }: Pick<Deployment, "resources">,
  found: readonly DockerResource[],
): DockerResource[] {
  const known = new Set(resources.map(({ id }) => id));
  return found.filter(({ kind, id }) => kind !== "image" && !known.has(id));
}

/** @returns whether there was something to remove */
async function removeOrphans(stack: Stack, progress: Progress): Promise<boolean> {
  const state = await deploymentOf(stack);
  const orphans = orphansOf(state, await dockerResourcesOf(idOf(state)));
  if (orphans.length > 0) progress.note(`removing leftovers of a killed command: ${describeResources(orphans)}`);
  await removeResources(orphans);
  return orphans.length > 0;
}

/** What to do about resources of an AWS account that may be there or not. */
export function adviceOnAws(stack: string, pending: Deployment["pending_operations"]): string {
  return [
    `the last command was killed while it worked on these resources, which may exist or not:`,
    ...pending.map(({ resource }) => `  ${resource.urn}`),
    `  npm run pulumi -- refresh --stack ${stack}   asks about each of them`,
  ].join("\n");
}
