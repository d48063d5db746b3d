import uPlot from "uplot";
import type { Chart, Unit } from "./panels.ts";
import { legendOf, show } from "./panels.ts";
import type { Series } from "./prometheus.ts";

/** The points of a chart's x axis, in Unix seconds. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Told apart on a light and on a dark ground: https://observablehq.com/@d3/color-schemes, Tableau 10 */
const colours = ["#4e79a7", "#f28e2c", "#59a14f", "#e15759", "#76b7b2", "#edc949", "#af7aa1", "#ff9da7"];

/** Between the lines of a chart's y axis, where uPlot's own choice would be no round number. */
const increments: Partial<Record<Unit, number[]>> = {
  bytes: Array.from({ length: 50 }, (_, power) => 2 ** power),
  count: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
};

const date = "\n{YYYY}-{MM}-{DD}";

/**
 * How the x axis writes times, by the seconds between two labels. uPlot's own choice puts a date and a time side by side,
 * where they overlap. Columns: the seconds, the text, what is added where the year, month, day, hour, minute or second is
 * another one, and 1 for "added".
 */
const timeFormats: (string | number | null)[][] = [
  [86_400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", date, date, date, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
];

/** One chart in a box of its own. Cursors of all charts move together. */
export class Lines {
  readonly #chart: Chart;
  readonly #box: HTMLElement;
  #plot: uPlot | undefined;
  /** The lines that are drawn: others need another plot. */
  #names = "";

  constructor(chart: Chart, parent: HTMLElement) {
    this.#chart = chart;
    this.#box = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = chart.title;
    this.#box.append(caption);
    parent.append(this.#box);
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(this.#box);
  }

  /** @param found what each of the chart's queries gave */
  draw(found: readonly (readonly Series[])[], span: Span): void {
    const lines = found.flatMap((series, index) =>
      series.map(({ labels, values }) => ({
        name: legendOf(this.#chart.queries[index]?.legend ?? "", labels),
        points: pointsOf(values, span),
      })),
    );
    const times = Array.from({ length: count(span) }, (_, index) => span.start + index * span.step);
    const data: uPlot.AlignedData = [times, ...lines.map(({ points }) => points)];
    const names = JSON.stringify(lines.map(({ name }) => name));
    if (this.#plot !== undefined && names === this.#names) {
      this.#plot.setData(data);
      return;
    }
    this.#plot?.destroy();
    const series = lines.map(({ name }, index) => line(name, this.#chart.unit, index));
    this.#plot = new uPlot(this.#options(series), data, this.#box);
    this.#names = names;
  }

  #options(series: uPlot.Series[]): uPlot.Options {
    const { color } = getComputedStyle(this.#box);
    const axis = { stroke: color, grid: { stroke: "#8884", width: 1 }, ticks: { show: false } };
    const incrs = increments[this.#chart.unit];
    const written = (_: uPlot, values: number[]) => values.map((value) => show(value, this.#chart.unit));
    return {
      ...this.#size(),
      cursor: { sync: { key: "dashboard" }, drag: { x: false, y: false } },
      series: [{ value: "{HH}:{mm}:{ss}" }, ...series],
      axes: [
        { ...axis, space: 90, values: timeFormats },
        { ...axis, size: 70, values: written, ...(incrs === undefined ? {} : { incrs }) },
      ],
      // From zero: a quiet service is no mountain range.
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
    };
  }

  #size(): { width: number; height: number } {
    return { width: this.#box.clientWidth, height: 170 };
  }
}

function line(label: string, unit: Unit, index: number): uPlot.Series {
  const value = (_: uPlot, raw: number | null) => (raw === null ? "–" : show(raw, unit));
  return { label, value, stroke: colours[index % colours.length] ?? "grey", width: 1.5, spanGaps: false };
}

function count({ start, end, step }: Span): number {
  return Math.floor((end - start) / step) + 1;
}

/** A value for each time of the span; null where there is none. */
function pointsOf(values: Series["values"], span: Span): (number | null)[] {
  const points = Array<number | null>(count(span)).fill(null);
  for (const [time, text] of values) {
    const value = Number(text);
    if (Number.isFinite(value)) points[Math.round((time - span.start) / span.step)] = value;
  }
  return points;
}
