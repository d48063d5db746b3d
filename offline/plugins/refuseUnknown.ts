import { isObject, type Properties } from "./values.ts";

/** What a program may set, by name, and within objects and lists of objects. */
export type Known = Readonly<Record<string, { readonly output?: true; readonly fields?: Known }>>;

/**
 * A stand-in that ignored a property would do something else than the official plugin: it refuses what it does not know.
 * @param type as programs know it, such as docker.Container
 */
export function refuseUnknown(type: string, known: Known, given: Properties, parent = ""): void {
  for (const [name, value] of Object.entries(given)) {
    const property = known[name];
    if (!property || property.output) throw new Error(`the stand-in for ${type} has no ${parent}${name}`);
    const { fields } = property;
    if (!fields) continue;
    for (const element of [value].flat().filter(isObject)) refuseUnknown(type, fields, element, `${name}.`);
  }
}
