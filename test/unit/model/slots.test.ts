import { describe, expect, test } from "vitest";
import { chooseSlots } from "../../../components/model/slots.ts";

/** 1,000 bytes, and 100 for each conversation. */
const need = (slots: number) => ({
  weights: 1000,
  kvCache: 100 * slots,
  compute: 0,
  overhead: 0,
  total: 1000 + 100 * slots,
});
const choose = (cores: number, memory: number) => chooseSlots("ik_llama.cpp", { cores, memory }, need);

describe("requests that a replica answers at once, if parallel is not set", () => {
  test("four, where it has two cores and the memory", () => {
    expect([choose(2, 1400), choose(64, 1e9)]).toEqual([4, 4]);
  });

  test("as many as there is memory for, and never none", () => {
    expect([choose(2, 1399), choose(2, 1200), choose(2, 1199), choose(2, 10)]).toEqual([3, 2, 1, 1]);
  });

  test("one, where a replica has one core", () => {
    expect(choose(1, 1e9)).toBe(1);
  });

  test("one with bitnet.cpp, whose slots share one answer's speed", () => {
    expect(chooseSlots("bitnet.cpp", { cores: 8, memory: 1e9 }, need)).toBe(1);
  });
});
