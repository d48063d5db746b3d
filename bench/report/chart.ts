import type { Figure, Results } from "../figures.ts";
import { describeGoal, isMet, number, partNames } from "../figures.ts";

const width = 960;
const rowHeight = 22;
const labelWidth = 520;
const barWidth = 260;
const top = 48;

/** Bars end here, in multiples of the goal; what is far better is drawn no longer. */
const most = 2;

/** An SVG of every figure that has a goal: how much of it is reached, with a line where it is. */
export function chart(results: Results): string {
  const figures = partNames
    .flatMap((name) => results[name]?.figures ?? [])
    .filter((figure) => isMet(figure) !== undefined);
  const height = top + figures.length * rowHeight + 16;
  const goalAt = labelWidth + barWidth / most;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
<text x="16" y="24" font-size="16">What was measured, of its goal</text>
<text x="${goalAt}" y="${top - 8}" text-anchor="middle" fill="#555">goal</text>
${figures.map(bar).join("\n")}
<line x1="${goalAt}" y1="${top}" x2="${goalAt}" y2="${height - 12}" stroke="#555" stroke-dasharray="4 3"/>
</svg>
`;
}

function bar(figure: Figure, index: number): string {
  const y = top + index * rowHeight;
  const length = (barWidth * Math.min(reached(figure), most)) / most;
  const { what, value = 0, unit, goal } = figure;
  return `<text x="${labelWidth - 8}" y="${y + 15}" text-anchor="end">${escape(what)}</text>
<rect x="${labelWidth}" y="${y + 4}" width="${length.toFixed(1)}" height="14" fill="${isMet(figure) === true ? "#2e7d32" : "#c62828"}"/>
<text x="${labelWidth + barWidth + 8}" y="${y + 15}">${escape(`${number(value)} ${unit} (${describeGoal(goal)})`)}</text>`;
}

/** 1 is the goal, more is better, whichever way round the figure is. */
function reached({ value = 0, goal }: Figure): number {
  if (goal === undefined) return 0;
  if ("atLeast" in goal) return Math.max(0, value / goal.atLeast);
  return value <= 0 ? most : goal.atMost / value;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
