import { expect, test } from "vitest";
import { culprit, describeTask, judge, logStream } from "../../../components/aws/service/explain.ts";

const [before, wanted] = ["arn:task-definition/bitnet:1", "arn:task-definition/bitnet:2"];

test("a deployment that ECS has completed is done", () => {
  const deployments = [{ taskDefinition: wanted, status: "PRIMARY", rolloutState: "COMPLETED" }];
  expect(judge(deployments, wanted)).toEqual({ state: "done" });
});

test("one that goes on, and one that ECS does not show yet, are waited for", () => {
  const running = { taskDefinition: wanted, status: "PRIMARY", rolloutState: "IN_PROGRESS" };
  expect(judge([running, { taskDefinition: before, status: "ACTIVE", rolloutState: "COMPLETED" }], wanted)).toEqual({
    state: "pending",
  });
  expect(judge([], wanted)).toEqual({ state: "pending" });
});

test("a service that is steady with what ran before was rolled back: that is a failure, with ECS's reason", () => {
  const rolledBack = {
    taskDefinition: before,
    status: "PRIMARY",
    rolloutState: "COMPLETED",
    rolloutStateReason: "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1",
  };
  expect(judge([rolledBack], wanted)).toEqual({ state: "failed", why: rolledBack.rolloutStateReason });
});

test("a first version that never starts is a failure, though nothing is there to go back to", () => {
  const failed = {
    taskDefinition: wanted,
    status: "PRIMARY",
    rolloutState: "FAILED",
    rolloutStateReason: "tasks failed to start",
  };
  expect(judge([failed], wanted)).toEqual({ state: "failed", why: "tasks failed to start" });
});

test("a stopped task is described by AWS's reason and by how its containers ended", () => {
  const task = {
    taskArn: "arn:aws:ecs:eu-central-1:123456789012:task/bitnet-prod/0123abcd",
    stoppedReason: "Essential container in task exited",
    containers: [
      { name: "balancer", exitCode: 0 },
      { name: "server", exitCode: 1 },
      { name: "gateway", reason: "CannotPullContainerError: not found" },
    ],
  };
  expect(describeTask(task)).toBe(
    "task 0123abcd: Essential container in task exited; server: exit code 1; gateway: CannotPullContainerError: not found",
  );
  expect(culprit(task)).toBe("server");
  expect(logStream("server", task.taskArn)).toBe("task/server/0123abcd");
});
