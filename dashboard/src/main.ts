import { Lines, type Span } from "./lines.ts";
import type { Chart, Tile } from "./panels.ts";
import { charts, show, tiles, withWindow } from "./panels.ts";
import { between, now } from "./prometheus.ts";

/** How often Prometheus asks, and so this page: docker/monitoring/prometheus.yml's scrape_interval, in seconds. */
const interval = 5;

const range = element("range", HTMLSelectElement);
const problem = element("problem", HTMLElement);
const drawn = charts.map((chart) => ({ chart, lines: new Lines(chart, element("charts", HTMLElement)) }));
const numbers = tiles.map((tile) => ({ tile, output: addTile(tile, element("tiles", HTMLElement)) }));

/** Only the newest is drawn: a range that was chosen meanwhile counts. */
let newest = 0;

range.addEventListener("change", () => void refresh());
setInterval(() => {
  if (!document.hidden) void refresh();
}, interval * 1000);
void refresh();

async function refresh(): Promise<void> {
  const mine = ++newest;
  const span = currentSpan();
  try {
    const [values, found] = await Promise.all([
      Promise.all(numbers.map(({ tile }) => now(withWindow(tile.query, interval)))),
      Promise.all(drawn.map(({ chart }) => askFor(chart, span))),
    ]);
    if (mine !== newest) return;
    for (const [index, { tile, output }] of numbers.entries()) {
      output.textContent = show(Number(values[index]?.[0]?.values[0]?.[1] ?? Number.NaN), tile.unit);
    }
    for (const [index, { lines }] of drawn.entries()) lines.draw(found[index] ?? [], span);
    problem.hidden = true;
  } catch (error) {
    problem.textContent = `No figures: ${error instanceof Error ? error.message : String(error)}`;
    problem.hidden = false;
  }
}

/** Some 300 points, at whole steps: a point keeps its place while the chart moves on. */
function currentSpan(): Span {
  const seconds = Number(range.value);
  const step = Math.max(interval, Math.ceil(seconds / 300));
  const end = Math.floor(Date.now() / 1000 / step) * step;
  return { start: end - Math.floor(seconds / step) * step, end, step };
}

async function askFor(chart: Chart, { start, end, step }: Span) {
  return Promise.all(chart.queries.map(({ query }) => between(withWindow(query, step), start, end, step)));
}

function addTile({ id, title }: Tile, parent: HTMLElement): HTMLOutputElement {
  const [tile, heading, output] = [
    document.createElement("div"),
    document.createElement("h2"),
    document.createElement("output"),
  ];
  heading.textContent = title;
  output.id = id;
  output.textContent = "–";
  tile.append(heading, output);
  parent.append(tile);
  return output;
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no #${id}`);
  return found;
}
