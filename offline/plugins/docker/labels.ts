import type { Field } from "../bridged.ts";
import type { Value } from "../values.ts";

/** Labels in a program: a set of {label, value}. */
export const labelField: Field = { set: true, fields: { label: {}, value: {} } };

/** A program's labels as Docker takes them. */
export function toLabels(labels: readonly { label: string; value: string }[] = []): Record<string, string> {
  return Object.fromEntries(labels.map(({ label, value }) => [label, value]));
}

/** Docker's labels as a program states them, by name. */
export function fromLabels(labels: Readonly<Record<string, string>> | null | undefined): Value {
  return Object.entries(labels ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => ({ label, value }));
}
