import { expect, test } from "vitest";
import type { InstanceFacts } from "../../../components/aws/instances.ts";
import { alternatives, checkInstance, fits, instanceWarnings, volumeGb } from "../../../components/aws/instances.ts";

const gib = 2 ** 30;
const need = (total: number) => ({ weights: total, kvCache: 0, compute: 0, overhead: 0, total });
const c7a = (size: string, vcpus: number): InstanceFacts => ({
  type: `c7a.${size}`,
  architecture: "x86_64",
  vcpus,
  cores: vcpus,
  memoryBytes: 2 * vcpus * gib,
  burstable: false,
  accelerated: false,
});
const large = c7a("large", 2);
const sizes = [c7a("8xlarge", 32), large, c7a("xlarge", 4), c7a("2xlarge", 8)];
const demand = { memory: need(2 * gib), cpuTarget: "native" };

test("an instance type that has the memory is accepted", () => {
  expect(checkInstance(large, demand)).toEqual([]);
  expect(instanceWarnings(large, "native")).toEqual([]);
});

test.each([
  // GiB of the type, and about the MiB that Linux, and so the agent, finds there.
  [2, 1875],
  [4, 3672],
  [8, 7680],
])(
  "of %i GiB no more is given away than ECS registers, the gateway's and HAProxy's memory included",
  (size, registered) => {
    const facts = { ...large, memoryBytes: size * gib };
    const server = (registered - 384 - 512) * 2 ** 20;
    expect(fits(facts, { memory: need(server) })).toBe(false);
    expect(fits(facts, { memory: need(0.75 * server) })).toBe(true);
  },
);

test("a disk is never smaller than the snapshot of ECS's Amazon Linux, and grows with the model", () => {
  expect(volumeGb(1.2e9)).toBe(30);
  expect(volumeGb(10e9)).toBe(35);
});

test("a model that does not fit is refused, with the smallest size of that family that does", () => {
  expect(checkInstance(large, { ...demand, memory: need(5 * gib) }, sizes)).toMatchObject([
    {
      key: "instanceType",
      value: "c7a.large",
      right: expect.stringMatching(/^c7a\.xlarge, the smallest of c7a/) as string,
    },
  ]);
  expect(checkInstance(large, { ...demand, memory: need(500 * gib) }, sizes)[0]?.right).toContain("another family");
});

test("a GPU instance is refused", () => {
  expect(checkInstance({ ...large, type: "g5.xlarge", accelerated: true }, demand)).toMatchObject([
    { key: "instanceType", wrong: expect.stringContaining("GPU") as string },
  ]);
});

test("an instance of the wrong architecture for a fixed cpuTarget is refused, with the right cpuTarget", () => {
  expect(checkInstance(large, { ...demand, cpuTarget: "neoverse-v2" })).toMatchObject([
    { key: "cpuTarget", value: "neoverse-v2", wrong: "it is for arm64, and a c7a.large is x86_64" },
  ]);
  expect(checkInstance(large, { ...demand, cpuTarget: "x86-64-v3" })).toEqual([]);
});

test("more threads than physical cores are refused", () => {
  expect(checkInstance(large, { ...demand, threads: 3 })).toMatchObject([
    { key: "threads", right: "at most 2, or unset" },
  ]);
});

test("a burstable type, and one whose CPU is not known, are warned about", () => {
  expect(instanceWarnings({ ...large, type: "t3.large", burstable: true }, "native")).toEqual([
    expect.stringContaining("burstable"),
    expect.stringContaining("x86-64-v3"),
  ]);
});

test("on demand there is no other type; with spot, all that run the same code", () => {
  expect(alternatives(large, 0)).toEqual([]);
  expect(alternatives(large, 50)).toEqual(["m7a.large", "r7a.large"]);
});
