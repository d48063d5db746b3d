import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { request } from "node:http";
import { describe, expect, it, vi } from "vitest";
import { send } from "../../support/http.ts";
import { dataLines, question, startGateway, type TestGateway } from "./gateway.ts";

const path = "/v1/chat/completions";
const streaming = { ...question, stream: true };

/** Asks, and hangs up a moment after the engine was asked. @returns when it did */
async function askAndLeave({ port, asked }: TestGateway, body: unknown): Promise<number> {
  const sent = request({ port, host: "127.0.0.1", method: "POST", path, agent: false });
  sent.on("error", () => undefined);
  sent.end(JSON.stringify(body));
  await vi.waitFor(() => {
    expect(asked()).toHaveLength(1);
  }, 5000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  sent.destroy();
  return performance.now();
}

async function leftAt(gateway: TestGateway): Promise<number> {
  return vi.waitFor(() => {
    const left = gateway.fake.received.find((received) => received.path === "/completion")?.leftAt;
    if (left === undefined) throw new Error("the engine still answers");
    return left;
  });
}

describe("a client that leaves frees its slot within a second", () => {
  it.each([
    ["a stream that waits", streaming, { firstDelay: 60_000 }],
    ["a stream that is written", streaming, { tokenDelay: 400 }],
    ["a plain answer that waits", question, { firstDelay: 60_000 }],
    ["a plain answer that is written", question, { tokenDelay: 400 }],
    ["a request without an answer's beginning", question, { fault: "hang" as const }],
  ])("%s", async (_name, body, behaviour) => {
    await using gateway = await startGateway();
    gateway.fake.behave(behaviour);
    const left = await askAndLeave(gateway, body);
    expect((await leftAt(gateway)) - left).toBeLessThan(1000);
    await vi.waitFor(() => {
      expect(gateway.log.at(-1)).toMatchObject({ status: 499 });
    });
    expect(await gateway.metrics()).toMatch(/requests_waiting 0\n[^]*requests_running 0\n/);
  });
});

describe("a stream that waits", () => {
  it("gets its headers and a comment line each time, then the answer", async () => {
    await using gateway = await startGateway({ HEARTBEAT: "0.05" });
    gateway.fake.behave({ firstDelay: 1000 });
    const answer = await send(gateway, "POST", path, { body: streaming });
    expect(answer.headers["content-type"]).toContain("text/event-stream");
    expect(answer.body.match(/^: waiting$/gm)?.length).toBeGreaterThanOrEqual(3);
    expect(answer.body).toMatch(/^: waiting\n\n(.|\n)*data: \[DONE\]\n\n$/);
  });

  it("has a status of its own if it fails before anything was sent", async () => {
    await using gateway = await startGateway();
    for (const [behaviour, status] of [
      [{ fault: "die" }, 502],
      [{ fault: "error-event" }, 502],
      [{ fault: "garbage" }, 502],
      [{ fault: "half-character" }, 502],
      [{ fault: "error-line" }, 400],
      [{ status: 503 }, 503],
      [{ status: 429 }, 429],
      [{ status: 500 }, 502],
    ] as const) {
      gateway.fake.behave(behaviour);
      for (const body of [question, streaming]) {
        const answer = await send(gateway, "POST", path, { body });
        expect([behaviour, answer.status]).toEqual([behaviour, status]);
        if (status !== 400) expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
      }
    }
  });

  it("ends with an error event if it fails later", async () => {
    await using gateway = await startGateway();
    for (const fault of ["die", "error-event", "garbage", "half-character"] as const) {
      gateway.fake.behave({ fault, failAfter: 2 });
      const answer = await send(gateway, "POST", path, { body: streaming });
      expect([fault, dataLines(answer.body).at(-1)]).toMatchObject([fault, { error: { type: "server_error" } }]);
      expect(answer.body).not.toContain("[DONE]");
    }
  });

  it("ends with an error event if the engine stops answering", async () => {
    await using gateway = await startGateway({ STALL_TIMEOUT: "0.2" });
    gateway.fake.behave({ tokenDelay: 60_000 });
    const answer = await send(gateway, "POST", path, { body: streaming });
    expect(dataLines(answer.body).at(-1)).toMatchObject({
      error: { message: expect.stringContaining("stopped") as string },
    });
    expect((await send(gateway, "POST", path, { body: question })).status).toBe(502);
  });

  it("is given up when no answer begins in time", async () => {
    await using gateway = await startGateway({ FIRST_TOKEN_TIMEOUT: "0.2" });
    gateway.fake.behave({ firstDelay: 60_000 });
    expect((await send(gateway, "POST", path, { body: streaming })).status).toBe(502);
  });
});

it("one answer after another, plain or streaming, comes on a connection that another has had", async () => {
  await using gateway = await startGateway();
  let opened = 0;
  const count = (message: unknown) => {
    const { connectParams } = message as { connectParams: { port: string } };
    if (connectParams.port === new URL(gateway.fake.url).port) opened++;
  };
  subscribe("undici:client:connected", count);
  for (const body of [question, streaming, question, streaming, question, streaming]) {
    expect((await send(gateway, "POST", path, { body })).status).toBe(200);
  }
  unsubscribe("undici:client:connected", count);
  expect(opened).toBeLessThanOrEqual(2);
});

it("characters that the engine sends in two halves arrive whole", async () => {
  await using gateway = await startGateway();
  gateway.fake.behave({ answer: ["€", "日本", "🎉"] });
  const answer = await send(gateway, "POST", path, { body: question });
  expect(answer.json).toMatchObject({ choices: [{ message: { content: "€日本🎉" } }] });
});

it("says 503 and when to come again if no engine is there", async () => {
  await using gateway = await startGateway();
  await gateway.fake.close();
  const answer = await send(gateway, "POST", path, { body: question });
  expect(answer).toMatchObject({ status: 503, headers: { "retry-after": "5" } });
  expect((await send(gateway, "GET", "/v1/models")).status).toBe(200);
});

it("of several choices, none goes on when one has failed", async () => {
  await using gateway = await startGateway();
  gateway.fake.behave({ tokenDelay: 50, fault: "die", failAfter: 2 });
  expect((await send(gateway, "POST", path, { body: { ...question, n: 3 } })).status).toBe(502);
  expect(await gateway.metrics()).toMatch(/requests_waiting 0\n[^]*requests_running 0\n/);
});
