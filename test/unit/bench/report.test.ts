import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Figure, Results } from "../../../bench/figures.ts";
import { describeGoal, isMet, number } from "../../../bench/figures.ts";
import { chart } from "../../../bench/report/chart.ts";
import { performancePage } from "../../../bench/report/page.ts";
import { textTable } from "../../../bench/report/table.ts";
import { readResults } from "../../../bench/run.ts";

const fast: Figure = { what: "prefill", value: 2.5, unit: "×", goal: { atLeast: 2 } };
const slow: Figure = { what: "start & <first> token", value: 12.34, unit: "s", goal: { atMost: 5 } };
const missing: Figure = { what: "decode", unit: "×", goal: { atLeast: 1.25 }, note: "no source" };
const compared: Figure = { what: "memory", value: 35_123.4, unit: "MB/s" };

function resultsWith(...figures: Figure[]): Results {
  const about = { date: "2026-01-02T03:04:05Z", commit: "abc", machine: "2 × CPU", model: "tiny", seconds: 61 };
  return { tokens: { ...about, figures } };
}

test("a goal is met, is not, or cannot be told", () => {
  expect([fast, slow, missing, compared].map(isMet)).toEqual([true, false, undefined, undefined]);
  expect(isMet({ ...fast, value: 2 })).toBe(true);
  expect(isMet({ ...slow, value: 5 })).toBe(true);
});

test("numbers have the digits that mean something", () => {
  expect([0.012345, 1.2345, 123.45, 35_123.4].map(number)).toEqual(["0.0123", "1.23", "123", "35,120"]);
  expect([describeGoal({ atLeast: 2 }), describeGoal({ atMost: 0.5 })]).toEqual(["≥ 2", "≤ 0.5"]);
});

test("the table has a row for each figure, and says why one is missing", () => {
  const [head, ...rows] = textTable(resultsWith(fast, slow, missing)).split("\n");
  expect(head?.split(/ {2,}/)).toEqual(["part", "figure", "measured", "goal", "met", "note"]);
  expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
    ["tokens", "prefill", "2.5 ×", "≥ 2", "yes"],
    ["tokens", "start & <first> token", "12.3 s", "≤ 5", "no"],
    ["tokens", "decode", "not measured", "≥ 1.25", "no source"],
  ]);
});

describe("the chart", () => {
  const svg = chart(resultsWith(fast, slow, missing, compared));
  const widths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));

  test("has a bar for each figure that was measured and has a goal", () => {
    expect(widths).toHaveLength(2);
    expect(svg).not.toContain("decode");
  });

  test("bars reach past the line where the goal is met, and not where it is not", () => {
    const goalAt = Number(/<line x1="(\d+)"/.exec(svg)?.[1]) - Number(/<rect x="(\d+)" y/.exec(svg)?.[1]);
    const [first = 0, second = 0] = widths;
    expect(first / goalAt).toBeCloseTo(1.25);
    expect(second / goalAt).toBeCloseTo(5 / 12.34);
  });

  test("is well-formed XML whatever a figure is called", () => {
    expect(svg).toContain("start &amp; &lt;first&gt; token");
  });
});

describe("docs/performance.md", () => {
  const page = readFileSync("docs/performance.md", "utf8");

  test("says what bench/results has (`npm run docs` writes it)", async () => {
    expect(page).toBe(performancePage(page, await readResults("bench/results")));
  });

  test("shows a part's figures in its place, and keeps what is written around them", () => {
    const shown = performancePage(page, resultsWith(fast));
    expect(shown).toContain("2026-01-02, commit abc, 2 × CPU, model tiny, 1m01s.");
    expect(shown).toContain("| prefill | 2.5 × | ≥ 2 | yes |  |");
    expect(performancePage(shown, {})).toBe(performancePage(page, {}));
  });

  test("a page without a place for a part is refused", () => {
    expect(() => performancePage("# Performance\n", {})).toThrow("no place for tokens");
  });
});
