import { expect, test } from "vitest";
import type { Deployment } from "../../../components/aws/service/explain.ts";
import { awaitRollout, patience } from "../../../components/aws/service/rollout.ts";

const [before, wanted] = ["arn:task-definition/bitnet:1", "arn:task-definition/bitnet:2"];

const old: Deployment = {
  ...{ id: "ecs-svc/1", taskDefinition: before, status: "PRIMARY", rolloutState: "COMPLETED" },
  rolloutStateReason: "ECS deployment ecs-svc/1 completed.",
};
const rolledBack: Deployment = {
  ...{ id: "ecs-svc/3", taskDefinition: before, status: "PRIMARY", rolloutState: "COMPLETED" },
  rolloutStateReason: "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1",
};
const own = (rolloutState: string, rest: Deployment = {}): Deployment => ({
  ...{ id: "ecs-svc/2", taskDefinition: wanted, status: "PRIMARY", rolloutState },
  ...rest,
});
const running = [own("IN_PROGRESS"), { ...old, status: "ACTIVE" }];
const completed = [own("COMPLETED")];
const failed = own("FAILED", { rolloutStateReason: "tasks failed to start" });
const again = (rolloutState: string) => own(rolloutState, { id: "ecs-svc/again", rolloutStateReason: rolloutState });

/** Waits through what ECS shows, look by look; the last goes on. */
async function wait(looks: readonly (readonly Deployment[])[]) {
  let [looked, redeployed] = [0, 0];
  const verdict = await awaitRollout(wanted, {
    look: () => Promise.resolve(looks[Math.min(looked++, looks.length - 1)] ?? []),
    redeploy: () => {
      redeployed++;
      return Promise.resolve("ecs-svc/again");
    },
    pause: () => Promise.resolve(looked < 20),
  });
  return { ...verdict, redeployed };
}

test("a deployment is waited for until ECS has completed it, or the time is up", async () => {
  expect(await wait([running, running, completed])).toEqual({ state: "done", redeployed: 0 });
  expect(await wait([running])).toEqual({ state: "pending", redeployed: 0 });
});

test("an update is no failure because ECS shows the service for a moment as it was before", async () => {
  expect(await wait([[old], [], [old], running, completed])).toEqual({ state: "done", redeployed: 0 });
});

test("a service that is steady with what ran before was rolled back: that is a failure, with ECS's reason", async () => {
  const failure = { state: "failed", why: rolledBack.rolloutStateReason, redeployed: 0 };
  expect(await wait([running, [rolledBack]])).toEqual(failure);
  expect(await wait([running, [rolledBack, own("IN_PROGRESS", { status: "ACTIVE" })]])).toEqual(failure);
});

test("a first version that never starts is a failure, though nothing is there to go back to", async () => {
  const failure = { state: "failed", why: failed.rolloutStateReason, redeployed: 0 };
  expect(await wait([[own("IN_PROGRESS")], [failed]])).toEqual(failure);
});

test("what an earlier update has left failed is deployed once more, and judged by that deployment alone", async () => {
  for (const left of [[failed], [rolledBack], [rolledBack, { ...failed, status: "ACTIVE" }]]) {
    const unseen = Array.from({ length: patience }, () => left);
    const rolling = [again("IN_PROGRESS"), { ...failed, status: "ACTIVE" }];
    expect(await wait([...unseen, rolling, [again("COMPLETED")]])).toEqual({ state: "done", redeployed: 1 });
    expect(await wait([...unseen, rolling, [again("FAILED")]])).toEqual({
      ...{ state: "failed", why: "FAILED", redeployed: 1 },
    });
  }
});

test("it is deployed once more, not for ever", async () => {
  expect(await wait([[rolledBack]])).toMatchObject({ state: "failed", redeployed: 1 });
});
