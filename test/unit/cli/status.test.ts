import { expect, test } from "vitest";
import { describeStatus, parseMetrics, parseStatistics } from "../../../cli/status.ts";

const statistics = `# pxname,svname,qcur,scur,slim,status,lastchg,
edge,FRONTEND,,3,8000,OPEN,,
replicas,llama-1,0,2,2,UP,125,
replicas,llama-2,0,0,2,DOWN 1/2,3,
replicas,llama-3,0,0,2,MAINT (resolution),900,
replicas,BACKEND,4,2,200,UP,900,
questions,llama-1,0,0,16,UP,125,
`;

const metrics = `# HELP bitnet_gateway_requests_total Requests answered.
bitnet_gateway_requests_total{model="m",key="a",endpoint="chat",status="200"} 1200
bitnet_gateway_requests_total{model="m",key="b",endpoint="chat",status="400"} 34
bitnet_gateway_requests_total{model="m",key="",endpoint="/health",status="200"} 99999
bitnet_gateway_prompt_tokens_total{model="m",key="a"} 5000
bitnet_gateway_completion_tokens_total{model="m",key="a"} 700
bitnet_gateway_time_per_token_seconds_sum{model="m"} 4
bitnet_gateway_time_per_token_seconds_count{model="m"} 100
bitnet_gateway_completion_tokens_total{model="m",key="b"} 7
`;

test("places that no replica has taken are not shown, nor another backend's servers", () => {
  expect(parseStatistics(statistics)).toEqual({
    replicas: [
      { name: "llama-1", state: "UP", since: 125, busy: 2, slots: 2 },
      { name: "llama-2", state: "DOWN 1/2", since: 3, busy: 0, slots: 2 },
    ],
    waiting: 4,
  });
});

test("all gateways and keys are counted together", () => {
  expect(parseMetrics(metrics)).toEqual({
    requests: 1234,
    promptTokens: 5000,
    completionTokens: 707,
    tokensPerSecond: 25,
  });
});

test("a load balancer that does not answer has no replicas, and no speed", () => {
  expect(parseStatistics("")).toEqual({ replicas: [], waiting: 0 });
  expect(parseMetrics("").tokensPerSecond).toBeUndefined();
});

test("people read a table, and the sums below it", () => {
  const containers = [{ name: "fleet-replica-0-1b51f86", status: "Up 3 minutes (healthy)" }];
  const told = describeStatus({ containers, ...parseStatistics(statistics), usage: parseMetrics(metrics) });
  expect(told).toBe(
    [
      "container                status",
      "fleet-replica-0-1b51f86  Up 3 minutes (healthy)",
      "",
      "replica  state     slots busy  since",
      "llama-1  UP        2 of 2      2m05s",
      "llama-2  DOWN 1/2  0 of 2      3s",
      "",
      "requests waiting: 4",
      "",
      "since the gateways started: 1,234 requests, 5,000 tokens read, 707 written, 25.0 tokens/s per stream",
    ].join("\n"),
  );
});
