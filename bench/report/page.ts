/** Writes the last run's figures into docs/performance.md: `npm run docs`. A unit test says when that was forgotten. */
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { duration } from "../../cli/duration.ts";
import type { PartName, Results } from "../figures.ts";
import { partNames } from "../figures.ts";
import { readResults } from "../run.ts";
import { markdownTable } from "./table.ts";

/**
 * The page with each part's figures between its marks, `<!-- bench:tokens -->` and `<!-- bench end -->`; the prose around
 * them stays as it is.
 * @throws RangeError if a part has no place in it
 */
export function performancePage(page: string, results: Results): string {
  return partNames.reduce((text, name) => {
    const place = new RegExp(`(<!-- bench:${name} -->)[^]*?(<!-- bench end -->)`);
    if (!place.test(text)) throw new RangeError(`docs/performance.md has no place for ${name}`);
    return text.replace(place, (_, begin: string, end: string) => `${begin}\n\n${section(name, results)}\n\n${end}`);
  }, page);
}

function section(name: PartName, results: Results): string {
  const part = results[name];
  if (part === undefined) return `Not measured yet: \`npm run bench -- ${name}\`.`;
  const { date, commit, machine, model, seconds } = part;
  const about = `${date.slice(0, 10)}, commit ${commit}, ${machine}, model ${model}, ${duration(seconds * 1000)}.`;
  return `${about}\n\n${markdownTable(part)}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const page = new URL("../../docs/performance.md", import.meta.url);
  const results = await readResults(new URL("../results", import.meta.url).pathname);
  writeFileSync(page, performancePage(readFileSync(page, "utf8"), results));
}
