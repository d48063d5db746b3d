import { ConcurrentUpdateError, StackNotFoundError } from "@pulumi/pulumi/automation/index.js";
import { expect, test } from "vitest";
import { describeFailure, stateVariables } from "../../../cli/failure.ts";
import { UserError } from "../../../components/errors.ts";

const nothing = { stack: "dev", error: new Error("update failed"), thrown: [], failures: [] };

/** An error of the Automation API's, which keeps their constructors to itself. */
function pulumiError<T extends Error>(type: { prototype: T }, message: string): T {
  return Object.assign(Object.create(type.prototype) as T, { message });
}

test("a user's mistake is told once, without a stack trace", () => {
  const mistake = new UserError({ key: "port", value: 0, wrong: "less than 1", right: "1 to 65535" });
  const told = describeFailure({ ...nothing, thrown: [mistake], failures: [{ message: mistake.message }] });
  expect(told).toBe("port: 0\n  wrong: less than 1\n  right: 1 to 65535");
});

test("a bug keeps its stack trace", () => {
  const bug = new TypeError("x is not a function");
  const failures = [{ message: `Unhandled exception: ${bug.stack ?? ""}` }];
  expect(describeFailure({ ...nothing, thrown: [bug], failures })).toBe(bug.stack);
});

test("a resource that failed is named, and said once", () => {
  const failure = { resource: "image bitnet", message: "the base image is not there" };
  expect(describeFailure({ ...nothing, failures: [failure, failure] })).toBe(
    "image bitnet: the base image is not there",
  );
});

test("a full disk is told with what to do about it", () => {
  const failure = { resource: "image bitnet", message: "write /x: no space left on device" };
  expect(describeFailure({ ...nothing, failures: [failure] })).toMatch(/no space left[^]*right: .*docker system prune/);
});

test("a stack that is being worked on: wait, or how to take the lock away", () => {
  const lock = "  file:///x/dev/1.json: created by me@build-7 (pid 12) at 2026-11-27T06:00:00Z";
  const error = pulumiError(ConcurrentUpdateError, `error: the stack is currently locked by 1 lock(s).\n${lock}`);
  const told = describeFailure({ ...nothing, error });
  expect(told).toMatch(/^stack dev: another command is working on it/);
  // Perhaps on another machine, where alone somebody can tell whether it still runs.
  expect(told).toContain("by me@build-7, process 12, since 2026-11-27T06:00:00Z");
  expect(told).toContain("npm run pulumi -- cancel --yes --stack dev");
});

test("a wrong passphrase gives one message: where the right one goes, and how to begin anew without it", () => {
  const told = describeFailure({ ...nothing, error: new Error("getting secrets manager: incorrect passphrase") });
  expect(told).toContain("passphrase of stack dev");
  expect(told).toContain("PULUMI_CONFIG_PASSPHRASE_FILE");
  expect(told).toMatch(/delete encryptionsalt .* from Pulumi\.dev\.yaml/);
  expect(told).not.toContain(" at ");
});

test("a stack that does not exist is named", () => {
  const told = describeFailure({ ...nothing, error: pulumiError(StackNotFoundError, "no stack named 'dev' found") });
  expect(told).toContain('stack: "dev"');
});

test("plain Pulumi is told where the state and the passphrase are, and never the passphrase", () => {
  const env = {
    PULUMI_BACKEND_URL: "file:///x/.state/backend",
    PULUMI_CONFIG_PASSPHRASE_FILE: "/x/.state/passphrase",
    PULUMI_CONFIG_PASSPHRASE: "hidden",
  };
  expect(stateVariables(env)).toBe(
    "PULUMI_BACKEND_URL='file:///x/.state/backend' PULUMI_CONFIG_PASSPHRASE_FILE='/x/.state/passphrase'",
  );
});
