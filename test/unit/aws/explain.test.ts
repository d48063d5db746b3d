import { expect, test } from "vitest";
import { culprit, describeTask, logStream } from "../../../components/aws/service/explain.ts";

test("a stopped task is described by AWS's reason and by how its containers ended", () => {
  const task = {
    taskArn: "arn:aws:ecs:eu-central-1:123456789012:task/bitnet-prod/0123abcd",
    stoppedReason: "Essential container in task exited",
    containers: [
      { name: "haproxy", exitCode: 0 },
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
