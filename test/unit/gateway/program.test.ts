import { execa } from "execa";
import { mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { bundleGateway } from "../../../gateway/bundle.ts";
import { startFakeUpstream } from "../../../tools/fakeUpstream.ts";
import { freePort } from "../../e2e/support/net.ts";
import { send } from "../../support/http.ts";
import { question } from "./gateway.ts";

const folder = mkdtempSync(join(tmpdir(), "gateway-"));
const program = join(folder, "gateway.cjs");

it("the image's two files run: requests, metrics, health check, and an end after the last answer", async () => {
  await bundleGateway(folder);
  const fake = await startFakeUpstream();
  fake.behave({ tokenDelay: 100 });
  const [port, metricsPort] = [await freePort(), await freePort()];
  const env = { UPSTREAM_URL: fake.url, MODEL_ALIAS: "fake", CONTEXT_SIZE: "512", HOST: "127.0.0.1" };
  const ports = { PORT: String(port), METRICS_PORT: String(metricsPort) };
  const gateway = execa(process.execPath, [program], { env: { ...env, ...ports }, reject: false });
  await vi.waitFor(() => send({ port }, "GET", "/health"), 10_000);

  const healthCheck = await execa(process.execPath, [join(folder, "healthCheck.cjs")], { env: ports });
  expect(healthCheck.exitCode).toBe(0);
  const running = send({ port }, "POST", "/v1/chat/completions", { body: question });
  await vi.waitFor(() => {
    expect(fake.received.some(({ path }) => path === "/completion")).toBe(true);
  }, 5000);
  expect((await send({ port: metricsPort }, "GET", "/metrics")).body).toContain("bitnet_gateway_requests_running");

  gateway.kill("SIGTERM");
  expect((await running).json).toMatchObject({ choices: [{ message: { content: "The digit is 5." } }] });
  expect((await gateway).exitCode).toBe(0);
  await fake.close();
});

it("on SIGTERM it says by /health that it stops, and still answers until HAProxy has noticed", async () => {
  const fake = await startFakeUpstream();
  const [port, metricsPort] = [await freePort(), await freePort()];
  const gateway = execa(process.execPath, [program], {
    env: {
      ...{ UPSTREAM_URL: fake.url, MODEL_ALIAS: "fake", CONTEXT_SIZE: "512", HOST: "127.0.0.1", DRAIN_DELAY: "1" },
      ...{ PORT: String(port), METRICS_PORT: String(metricsPort) },
    },
    reject: false,
  });
  await vi.waitFor(() => send({ port }, "GET", "/health"), 10_000);
  gateway.kill("SIGTERM");
  await vi.waitFor(async () => {
    expect((await send({ port }, "GET", "/health")).status).toBe(503);
  });
  const answer = await send({ port }, "POST", "/v1/chat/completions", { body: question });
  expect(answer.json).toMatchObject({ choices: [{ message: { content: "The digit is 5." } }] });
  expect((await gateway).exitCode).toBe(0);
  await fake.close();
});

it("the same sources give the same bytes", async () => {
  const again = mkdtempSync(join(tmpdir(), "gateway-"));
  await bundleGateway(folder);
  await bundleGateway(again);
  expect(readFileSync(join(again, "gateway.cjs")).equals(readFileSync(program))).toBe(true);
  // Untouched: an update of another stack may be reading it.
  const { mtimeMs } = statSync(program);
  await bundleGateway(folder);
  expect(statSync(program).mtimeMs).toBe(mtimeMs);
});

it("wrong settings end it with what is wrong, without a stack", async () => {
  const main = join(import.meta.dirname, "../../../gateway/src/main.ts");
  const { exitCode, stderr } = await execa(process.execPath, [main], {
    env: { UPSTREAM_URL: "nowhere" },
    reject: false,
  });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^the gateway cannot start:\n {2}UPSTREAM_URL: .*\n {2}MODEL_ALIAS: .*\n {2}CONTEXT_SIZE: /);
  expect(stderr).not.toContain("    at ");
});
