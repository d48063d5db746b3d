import { _InstanceType } from "@aws-sdk/client-ec2";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { measuredSideBySide } from "../../../components/model/slots.ts";
import {
  describeCost,
  describeTokenCost,
  measured,
  monthlyCost,
  priceDate,
  tokenCost,
} from "../../../components/aws/prices.ts";
import { cpuTargetOf } from "../../../components/image/cpuTarget.ts";

const fleet = {
  instanceType: "c7a.2xlarge",
  vcpus: 8,
  minReplicas: 1,
  maxReplicas: 4,
  volumeGb: 30,
  zones: 2,
  internal: false,
  endpoints: 0,
  natGateways: 2,
  alarms: 6,
  rateLimited: false,
};

test("a month of the default fleet: one c7a.2xlarge is some $300, two NAT gateways and a load balancer some $100", () => {
  const { least = 0, most = 0 } = monthlyCost(fleet) ?? {};
  expect(least).toBeGreaterThan(395);
  expect(least).toBeLessThan(425);
  expect(most - least).toBeCloseTo(3 * (0.41056 * 730 + 2.4), -1);
});

test("nine endpoints in each of two zones cost about $131, two NAT gateways $73 with their addresses", () => {
  const without = monthlyCost({ ...fleet, natGateways: 0 })?.least ?? 0;
  expect((monthlyCost(fleet)?.least ?? 0) - without).toBeCloseTo(73, 0);
  expect((monthlyCost({ ...fleet, natGateways: 0, endpoints: 9 })?.least ?? 0) - without).toBeCloseTo(131.4, -1);
});

test("an internal load balancer has no public addresses, of $3.65 each", () => {
  const cost = (internal: boolean) => monthlyCost({ ...fleet, internal })?.least ?? 0;
  expect(cost(false) - cost(true)).toBeCloseTo(7.3, -1);
  expect(cost(false)).toBeGreaterThan(cost(true));
});

test("the output says of when the prices are, and admits it where there is none", () => {
  expect(describeCost(fleet)).toMatch(/^\$\d+ with 1, \$\d+ with 4 instances on demand.*us-east-1/);
  expect(describeCost({ ...fleet, instanceType: "z9q.large" })).toContain("not known");
});

test("every family of instance types whose CPU is known has a price", () => {
  const known = Object.values(_InstanceType).filter((type) =>
    (["x86_64", "arm64"] as const).some((architecture) => cpuTargetOf(type, architecture).known),
  );
  const families = [...new Set(known.map((type) => type.slice(0, type.indexOf("."))))];
  expect(families.length).toBeGreaterThan(60);
  const unpriced = families.filter(
    (family) => monthlyCost({ ...fleet, instanceType: `${family}.2xlarge` }) === undefined,
  );
  expect(unpriced).toEqual([]);
});

test("the prices are not older than a year", () => {
  const age = Date.now() - Date.parse(`1 ${priceDate} UTC`);
  expect(age).toBeLessThan(366 * 24 * 3600 * 1000);
});

test("a family's sizes cost in proportion to their CPUs", () => {
  const idle = { ...fleet, natGateways: 0, volumeGb: 0 };
  const cost = (vcpus: number) => monthlyCost({ ...idle, vcpus })?.least ?? 0;
  expect(cost(16) - cost(8)).toBeCloseTo(0.41056 * 730, -1);
});

const { modelBytes } = measured;
const c7a = { type: "c7a.2xlarge", vcpus: 8, cores: 8, engine: "ik_llama.cpp", slots: 1, modelBytes } as const;

test("a million tokens cost what the instance costs while it generates them, with twice the model twice as much", () => {
  const { dollars = 0, tokensPerSecond = 0 } = tokenCost(c7a) ?? {};
  expect(tokensPerSecond).toBeCloseTo(48);
  expect(dollars).toBeCloseTo((0.41056 / 3600 / 48) * 1e6);
  expect(tokenCost({ ...c7a, modelBytes: 2 * modelBytes })?.dollars).toBeCloseTo(2 * dollars);
  expect(tokenCost({ ...c7a, type: "c7a.4xlarge", vcpus: 16, cores: 16 })?.dollars).toBeCloseTo(dollars);
});

test("answers side by side make a token cheaper by as much as was measured on such a CPU, but bitnet.cpp's", () => {
  const alone = tokenCost(c7a)?.dollars ?? 0;
  const gain = (slots: number) => alone / (tokenCost({ ...c7a, slots })?.dollars ?? 0);
  expect([gain(4), gain(8)]).toEqual([expect.closeTo(2.51), expect.closeTo(2.7)]);
  expect(gain(2)).toBeGreaterThan(1.4);
  expect(gain(2)).toBeLessThan(1.6);
  expect(tokenCost({ ...c7a, slots: 4, engine: "bitnet.cpp" })?.dollars).toBeCloseTo(alone);
  for (const [type, four] of [
    ["c6i.2xlarge", 2.51] as const,
    ["c6a.2xlarge", 1.77] as const,
    ["c7g.2xlarge", 1.77] as const,
  ]) {
    const speed = (slots: number) => tokenCost({ ...c7a, type, slots })?.tokensPerSecond ?? 0;
    expect(speed(4) / speed(1)).toBeCloseTo(four);
  }
});

test("the output says that the price of a token is reckoned, and admits it where there is none", () => {
  expect(describeTokenCost({ ...c7a, slots: 4 })).toMatch(/^about \$0\.95 .* 4 at once .*not measured on AWS/);
  expect(describeTokenCost({ ...c7a, type: "z9q.large" })).toContain("not known");
});

test("docs/operations.md has each family's price of a million tokens", () => {
  const rows = [
    ...readFileSync("docs/operations.md", "utf8").matchAll(/^\| (\w+)\.2xlarge +\| +(\d) \| +([\d.]+) \|$/gm),
  ];
  expect(rows.length).toBeGreaterThan(5);
  for (const [, family = "", cores, dollars] of rows) {
    const cost = tokenCost({ ...c7a, type: `${family}.2xlarge`, cores: Number(cores), slots: 4 });
    expect([family, cost?.dollars.toFixed(2)]).toEqual([family, dollars]);
  }
});

test("what slots gain is what `npm run bench` measured last", () => {
  const { slots } = JSON.parse(readFileSync("bench/results/results.json", "utf8")) as {
    slots: { figures: { what: string; value: number }[] };
  };
  for (const [answers, gain] of measuredSideBySide.avx512Vnni.slice(1)) {
    const what = `decode, ${answers} clients on ${answers} slots, to one client`;
    const found = slots.figures.find((figure) => figure.what === what)?.value ?? 0;
    expect(found / gain).toBeGreaterThan(0.8);
    expect(found / gain).toBeLessThan(1.25);
  }
});

test("docs/performance.md has the paper model's price of a million tokens, for each family and number of users", () => {
  const { growth } = JSON.parse(readFileSync("bench/results/results.json", "utf8")) as {
    growth: { figures: { what: string; value: number }[] };
  };
  const rows = [
    ...readFileSync("docs/performance.md", "utf8").matchAll(
      /^\| (\w+\.2xlarge) +\| +([\d.]+) \| +([\d.]+) \| +([\d.]+) \|$/gm,
    ),
  ];
  expect(rows.length).toBeGreaterThan(5);
  for (const [, type = "", ...told] of rows) {
    const prices = ["10", "1,000", "100,000"].map((users) => {
      const what = `aws, ${users} users: a million tokens on ${type}`;
      return growth.figures.find((figure) => figure.what === what)?.value.toFixed(2);
    });
    expect([type, ...told]).toEqual([type, ...prices]);
  }
});

test("the speed that prices of tokens are reckoned from is about what `npm run bench` measured last", () => {
  const { tokens } = JSON.parse(readFileSync("bench/results/results.json", "utf8")) as {
    tokens: { figures: { what: string; value: number }[] };
  };
  const decode = tokens.figures.find(({ what }) => what === "ik_llama.cpp IQ2_BN, OPTIMIZE=true: decode")?.value ?? 0;
  expect(decode / measured.tokensPerSecond).toBeGreaterThan(0.6);
  expect(decode / measured.tokensPerSecond).toBeLessThan(1.6);
});
