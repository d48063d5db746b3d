import type { Figure, PartResult, Results } from "../figures.ts";
import { describeGoal, isMet, number, partNames } from "../figures.ts";

const columns = ["figure", "measured", "goal", "met", "note"];

/** All parts in one table, for a terminal. */
export function textTable(results: Results): string {
  const rows = partNames.flatMap((name) => (results[name]?.figures ?? []).map((figure) => [name, ...cells(figure)]));
  const lines = [["part", ...columns], ...rows];
  // The last column may be as long as it likes.
  const widths =
    lines[0]?.slice(0, -1).map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0))) ?? [];
  return lines
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** One part's figures that have a goal, for a page: what the others are there to explain. */
export function markdownTable({ figures }: PartResult): string {
  const row = (texts: readonly string[]) => `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    row(columns),
    row(columns.map(() => "---")),
    ...figures.filter(({ goal }) => goal !== undefined).map((figure) => row(cells(figure))),
  ].join("\n");
}

function cells(figure: Figure): string[] {
  const { what, value, unit, goal, note = "" } = figure;
  const met = isMet(figure);
  const measured = value === undefined ? "not measured" : `${number(value)} ${unit}`;
  return [what, measured, describeGoal(goal), met === undefined ? "" : met ? "yes" : "no", note];
}
