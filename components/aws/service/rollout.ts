import type { Deployment, Verdict, Wanted } from "./explain.ts";
import { judge } from "./explain.ts";

/** What a wait for a deployment asks of its surroundings. */
export interface Surroundings {
  /** The service's deployments, as ECS shows them now. */
  look: () => Promise<readonly Deployment[]>;
  /** Deploys the task definition once more. @returns the deployment's id */
  redeploy: () => Promise<string | undefined>;
  /** Waits until the next look. @returns false: the time is up */
  pause: () => Promise<boolean>;
}

/** So many looks without a trace of the deployment are no delay of ECS's any more: a minute, at one every ten seconds. */
export const patience = 6;

/**
 * Waits until ECS has rolled the task definition out, or has given it up. Where it had failed before this began, it is
 * deployed once more: the update that failed has left its task definition in the state, so that the next one, with the
 * same settings, changes nothing of the service.
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
