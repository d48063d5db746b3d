import { execa } from "execa";
import { expect, test } from "vitest";
import { userData } from "../../../components/aws/cluster/userData.ts";

test("an instance joins its cluster, gives containers no role, drains at a spot notice, and has huge pages", () => {
  const text = userData("bitnet-prod");
  expect(text).toMatch(/^#!\/bin\/bash$/m);
  for (const line of [
    "ECS_CLUSTER=bitnet-prod",
    "ECS_AWSVPC_BLOCK_IMDS=true",
    "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).toContain("transparent_hugepage/enabled - - - - always");
  expect(text).not.toContain("@");
});

test("ECS's agent takes a line of its file as name=value, and passes over comments", async () => {
  const [, config = ""] = /<<'END'\n([\s\S]*?)\nEND\n/.exec(userData("bitnet-prod")) ?? [];
  // systemd's EnvironmentFile, by which ecs.service reads it.
  for (const line of config.split("\n")) expect(line).toMatch(/^(#.*|[A-Z_]+=[a-z0-9-]+)$/);
  const { exitCode } = await execa("bash", ["-n"], { input: userData("bitnet-prod") });
  expect(exitCode).toBe(0);
});

test("the agent removes images that no task uses any more, which prefer-cached would turn off", () => {
  expect(userData("bitnet-prod")).not.toContain("ECS_IMAGE_PULL_BEHAVIOR");
  expect(userData("bitnet-prod")).not.toContain("ECS_DISABLE_IMAGE_CLEANUP");
});

test("nothing but a name gets into the script", () => {
  expect(() => userData("x\nEND\nreboot")).toThrow("not a cluster's name");
});
