import { expect, test } from "vitest";
import { newAccount } from "../../../gateway/src/account.ts";
import { EmbeddedMetrics } from "../../../gateway/src/emf.ts";

interface Line {
  _aws: {
    Timestamp: number;
    CloudWatchMetrics: {
      Namespace: string;
      Dimensions: string[][];
      Metrics: { Name: string; Unit: string; StorageResolution: number }[];
    }[];
  };
  [name: string]: unknown;
}

function metrics(slots = 2) {
  const lines: Line[] = [];
  const requests = { waiting: 0, running: 0 };
  const write = (text: string) => lines.push(JSON.parse(text) as Line);
  return { lines, requests, embedded: new EmbeddedMetrics({ namespace: "N", service: "S", slots, requests, write }) };
}

const ending = (status: number) => ({ method: "POST", endpoint: "/v1/chat/completions", status });

test("a line is in CloudWatch's embedded metric format: every metric that it declares has a value, at a resolution of seconds", () => {
  const { lines, embedded } = metrics();
  embedded.print(1_700_000_000_000);
  const [line] = lines;
  const [directive] = line?._aws.CloudWatchMetrics ?? [];
  expect(line?._aws.Timestamp).toBe(1_700_000_000_000);
  expect(directive).toMatchObject({ Namespace: "N", Dimensions: [["ServiceName"]] });
  expect(line?.ServiceName).toBe("S");
  for (const { Name, StorageResolution } of directive?.Metrics ?? []) {
    expect([Name, typeof line?.[Name], StorageResolution]).toEqual([Name, "number", 1]);
  }
});

test("load is the average of busy slots and waiting requests, in percent of the slots", () => {
  const { lines, requests, embedded } = metrics(2);
  embedded.sample();
  Object.assign(requests, { waiting: 3, running: 1 });
  embedded.sample();
  embedded.print(0);
  expect(lines[0]).toMatchObject({ Load: 100, BusySlots: 1, WaitingRequests: 1 });
});

test("tokens, times to the first token and server errors are those since the line before", () => {
  const { lines, embedded } = metrics();
  embedded.record({ ...newAccount("1"), startedAt: 1000, firstTokenAt: 1500, completionTokens: 7 }, ending(200));
  embedded.record(newAccount("2"), ending(502));
  embedded.print(0);
  expect(lines[0]).toMatchObject({ Tokens: 7, TimeToFirstToken: [0.5], ServerErrors: 1 });
  embedded.print(1);
  expect(lines[1]).toMatchObject({ Tokens: 0, ServerErrors: 0 });
  expect(lines[1]).not.toHaveProperty("TimeToFirstToken");
});
