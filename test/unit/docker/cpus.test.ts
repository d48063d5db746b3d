import { expect, test } from "vitest";
import { cpuSet, engineCpus, groupIntoCores, parseCpuList, shareCores } from "../../../components/docker/cpus.ts";

test.each([
  ["two cores, two replicas", [[0], [1]], 2, ["0", "1"]],
  ["what is left over goes to the first", [[0], [1], [2]], 2, ["0,1", "2"]],
  ["one replica has everything", [[0], [1], [2]], 1, ["0,1,2"]],
  [
    "a core's hardware threads stay together",
    [
      [0, 2],
      [1, 3],
    ],
    2,
    ["0,2", "1,3"],
  ],
])("%s", (_, cores, replicas, expected) => {
  expect(shareCores(cores, replicas).map(cpuSet)).toEqual(expected);
});

test("no CPU is given to two replicas, and none is left out, whatever the numbers", () => {
  for (let count = 1; count <= 24; count++) {
    const cores = Array.from({ length: count }, (_, index) => [index, index + count]);
    for (let replicas = 1; replicas <= count; replicas++) {
      const shared = shareCores(cores, replicas).flat(2);
      expect(shared.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2 * count }, (_, index) => index));
    }
  }
});

test("more replicas than cores are an error, not replicas that share one", () => {
  expect(() => shareCores([[0]], 2)).toThrow(RangeError);
});

test("hardware threads are grouped by what Linux says", () => {
  const siblings = new Map([
    [0, "0,2"],
    [1, "1,3"],
    [2, "0,2"],
    [3, "1,3"],
  ]);
  expect(groupIntoCores([0, 1, 2, 3], siblings)).toEqual([
    [0, 2],
    [1, 3],
  ]);
  expect(groupIntoCores([0, 1], new Map())).toEqual([[0], [1]]);
});

test("Linux's lists of CPUs are read", () => {
  expect(parseCpuList("0-3,8\n")).toEqual([0, 1, 2, 3, 8]);
  expect(parseCpuList("")).toEqual([]);
  expect(() => parseCpuList("all")).toThrow(TypeError);
});

test.each([
  ["all of this machine's", 4, [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]],
  ["all, though this process has only some", 4, [0, 1, 2, 3], [2, 3], [0, 1, 2, 3]],
  ["those of the container around both", 2, [0, 1, 2, 3], [2, 3], [2, 3]],
  ["nobody knows which", 3, [0, 1, 2, 3], [2, 3], undefined],
])("the engine's CPUs: %s", (_, count, online, allowed, expected) => {
  expect(engineCpus(count, online, allowed)).toEqual(expected);
});
