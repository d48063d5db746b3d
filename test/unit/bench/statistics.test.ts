import { expect, test } from "vitest";
import { median, medianRatio, quantile, seededRandom } from "../../../bench/statistics.ts";

test("a quantile lies between two samples in proportion, whatever their order", () => {
  expect(quantile([40, 10, 30, 20], 0.5)).toBe(25);
  expect(quantile([40, 10, 30, 20], 0.95)).toBeCloseTo(38.5);
  expect(quantile([7], 0.95)).toBe(7);
  expect(median([3, 1, 2])).toBe(2);
});

test("of no samples there is no quantile", () => {
  expect(() => median([])).toThrow(RangeError);
});

test("a ratio is taken pair by pair: a minute in which the machine is slow counts for both", () => {
  const speeds = [100, 50, 100];
  expect(
    medianRatio(
      speeds.map((speed) => 2 * speed),
      speeds,
    ),
  ).toBe(2);
  expect(medianRatio([200, 90, 210], [100, 50])).toBe(1.9);
});

test("numbers drawn from a seed are the same each time, and lie evenly from 0 to 1", () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 10_000 }, () => random());
  };
  expect(draw(3)).toEqual(draw(3));
  expect(draw(3)).not.toEqual(draw(4));
  for (const part of [0.1, 0.5, 0.9]) expect(quantile(draw(3), part)).toBeCloseTo(part, 1);
});
