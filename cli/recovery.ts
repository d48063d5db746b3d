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
 * Cleans up after a command that was killed. Removes what it had begun to create on this machine: Pulumi does not know these
 * resources, and they hold the stack's ports, its network and the replicas' name. Pulumi's refresh comes first, because it
 * takes the stack's lock: nothing is removed while another command still runs.
 */
export async function cleanUpAfterKill(stack: Stack, signal: AbortSignal, progress: Progress): Promise<void> {
  const { pending_operations: pending } = await deploymentOf(stack);
  if (pending.length === 0) return;
  // They cost money, and only the user can find out whether they exist.
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
 * Destroys a stack, even if containers that its state does not know hold its network, volume or an image, and checks that
 * everything is gone from this machine.
 * @throws OperationFailed if something is left
 */
export async function destroyCompletely(stack: Stack, options: OperationOptions, progress: Progress): Promise<void> {
  await cleanUpAfterKill(stack, options.signal, progress);
  const id = idOf(await deploymentOf(stack));
  options.signal.throwIfAborted();
  await destroyKnown(stack, options, progress);
  const unknown = await dockerResourcesOf(id);
  await removeResources(unknown);
  const left = await dockerResourcesOf(id);
  if (left.length > 0) {
    throw new OperationFailed(`stack ${stack.name} is destroyed, but Docker still has: ${describeResources(left)}`);
  }
  if (unknown.length > 0) progress.note(`also removed: ${describeResources(unknown)}`);
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

/** Resources in Docker that the stack's state does not know. Not images: they have no ids there, and destroy removes them. */
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

/** What to do about AWS resources that may or may not exist. */
export function adviceOnAws(stack: string, pending: Deployment["pending_operations"]): string {
  return [
    `the last command was killed while it worked on these resources, which may exist or not:`,
    ...pending.map(({ resource }) => `  ${resource.urn}`),
    `  npm run pulumi -- refresh --stack ${stack}   asks about each of them`,
  ].join("\n");
}
