import { isDeepStrictEqual } from "node:util";
import type { Change } from "./provider.ts";
import type { Properties } from "./values.ts";

/** The properties that differ between two sets of inputs, those with a leading "__" (a plugin's own notes) aside. */
export function changedInputs(olds: Properties, news: Properties): Record<string, Change> {
  const names = [...new Set([...Object.keys(olds), ...Object.keys(news)])].filter((name) => !name.startsWith("__"));
  return Object.fromEntries(
    names
      .filter((name) => !isDeepStrictEqual(olds[name], news[name]))
      .map((name) => [name, { kind: changeKind(olds[name], news[name]) }]),
  );
}

/** What happened to one property whose values differ. */
export function changeKind(before: unknown, after: unknown): Change["kind"] {
  if (before === undefined) return "add";
  return after === undefined ? "delete" : "update";
}
