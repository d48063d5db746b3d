import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import * as timeouts from "../../../components/serving/timeouts.ts";

const { agentInterval, answerTimeout, haproxyGrace, check, drainDelay, drainTimeout } = timeouts;
const { loadTimeout, patience, readyTimeout, replicaGrace, resolve, settleTimeout } = timeouts;

test("HAProxy has found a new replica before the one that it replaces stops taking requests", () => {
  expect(drainDelay).toBeGreaterThanOrEqual(resolve.interval + check.interval + agentInterval);
});

test("a replica that drains has as long for a running request as HAProxy waits for its answer", () => {
  expect(drainTimeout).toBeGreaterThanOrEqual(patience);
});

test("Docker kills no replica that still drains, by Pulumi or by compose", () => {
  // The entrypoint kills a server that does not end within 2 s of its SIGTERM.
  expect(replicaGrace).toBeGreaterThanOrEqual(drainDelay + drainTimeout + 2);
  const compose = parse(readFileSync("docker/server/compose.yaml", "utf8")) as {
    services: Record<string, { stop_grace_period: string }>;
  };
  expect(compose.services["bitnet-server"]?.stop_grace_period).toBe(`${replicaGrace}s`);
});

test("a replica that ended is found before the queue gives up, and a forgotten address before a drained one ends", () => {
  expect(check.interval * check.failures + check.timeout).toBeLessThan(patience);
  expect(resolve.obsolete).toBeGreaterThanOrEqual(resolve.interval);
  expect(haproxyGrace).toBeLessThanOrEqual(patience);
});

test("HAProxy sends a gateway that stops no more before it stops, and Docker lets it finish its answers", () => {
  const { gatewayCheck, gatewayDrainDelay, gatewayGrace } = timeouts;
  expect(gatewayDrainDelay).toBeGreaterThan(gatewayCheck.interval * (gatewayCheck.failures + 1));
  expect(gatewayGrace).toBeGreaterThanOrEqual(gatewayDrainDelay + patience);
});

test("a plain answer may take longer than the wait for its first token", () => {
  expect(timeouts.wholeAnswer).toBeGreaterThanOrEqual(2 * patience);
});

test("an update waits for a replica at least as long as loading and its first answer may take", () => {
  expect(readyTimeout).toBeGreaterThanOrEqual(loadTimeout + answerTimeout);
});

test("Docker calls no replica unhealthy that the update still waits for", () => {
  const [, minutes] = /--start-period=(\d+)m/.exec(readFileSync("docker/server/Dockerfile", "utf8")) ?? [];
  expect(Number(minutes) * 60).toBeGreaterThanOrEqual(readyTimeout);
});

test("the smoke test leaves HAProxy time to find every replica", () => {
  expect(settleTimeout).toBeGreaterThan(resolve.obsolete + check.interval * check.failures + check.timeout);
});
