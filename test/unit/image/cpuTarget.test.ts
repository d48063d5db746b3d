import { expect, test } from "vitest";
import { architectureOf, cpuTargetOf, platformOf, sameInstructions } from "../../../components/image/cpuTarget.ts";

test.each([
  ["c7a.2xlarge", "x86_64", "znver4"],
  ["c6a.large", "x86_64", "znver3"],
  ["c8a.xlarge", "x86_64", "znver5"],
  ["c7i.4xlarge", "x86_64", "sapphirerapids"],
  ["c7i-flex.large", "x86_64", "sapphirerapids"],
  ["c6i.xlarge", "x86_64", "icelake-server"],
  ["c5.xlarge", "x86_64", "skylake-avx512"],
  ["c8i.xlarge", "x86_64", "graniterapids"],
  ["c8g.2xlarge", "arm64", "neoverse-v2"],
  ["c7gn.2xlarge", "arm64", "neoverse-v1"],
  ["c6g.2xlarge", "arm64", "neoverse-n1"],
] as const)("%s (%s) is compiled for as %s", (type, architecture, name) => {
  expect(cpuTargetOf(type, architecture)).toEqual({ name, known: true });
  expect(architectureOf(name)).toBe(architecture);
});

test("a family that is not in the table gets its architecture's baseline, and that is said", () => {
  expect(cpuTargetOf("z9q.large", "x86_64")).toEqual({ name: "x86-64-v3", known: false });
  expect(cpuTargetOf("z9g.large", "arm64")).toEqual({ name: "neoverse-n1", known: false });
});

test("spot instances are taken from all types that run the same code, the one that was asked for first", () => {
  expect(sameInstructions("c7a.2xlarge", "x86_64")).toEqual(["c7a.2xlarge", "m7a.2xlarge", "r7a.2xlarge"]);
  expect(sameInstructions("z9q.large", "x86_64")).toEqual(["z9q.large"]);
});

test("the image's platform is the instance's", () => {
  expect([platformOf("x86_64"), platformOf("arm64")]).toEqual(["linux/amd64", "linux/arm64"]);
});

test("a name that could be of either architecture is left to the compiler", () => {
  expect(architectureOf("native")).toBeUndefined();
});
