import type { Deployment, Verdict, Wanted } from "./explain.ts";
import { judge } from "./explain.ts";

/** What waiting for a deployment needs from outside. */
export interface Surroundings {
  /** Reads the service's current deployments from ECS. */
  look: () => Promise<readonly Deployment[]>;
  /** Deploys the task definition once more. @returns the deployment's id */
  redeploy: () => Promise<string | undefined>;
  /** Waits until it is time to look again. @returns false if the time is up */
  pause: () => Promise<boolean>;
}

/**
 * After this many looks, a missing deployment is no longer just ECS's delay: a minute, at one look every ten seconds.
 */
export const patience = 6;

/**
 * Waits until ECS has rolled out the task definition, or has given up. If the deployment had already failed when the
 * wait began, it is started once more: the failed update left its task definition in the state, so the next update with
 * the same settings does not change the service.
 * @returns "pending" if the time is up
 */
export async function awaitRollout(
  taskDefinition: string,
  { look, redeploy, pause }: Surroundings,
): Promise<Exclude<Verdict, { state: "missing" }>> {
  let wanted: Wanted = { taskDefinition };
  let [seen, redeployed, missed] = [false, false, 0];
  do {
    const verdict = judge(await look(), wanted);
    if (verdict.state === "done") return verdict;
    if (verdict.state === "pending") {
      seen = true;
      continue;
    }
    if (verdict.state === "missing" && !seen && ++missed < patience) continue;
    if (seen || redeployed) return { state: "failed", why: verdict.why };
    wanted = { taskDefinition, deployment: await redeploy() };
    [redeployed, missed] = [true, 0];
  } while (await pause());
  return { state: "pending" };
}
