import { createHash, randomBytes } from "node:crypto";
import { changeKind } from "./compare.ts";
import type { Change, Context, Diff, Resource } from "./provider.ts";
import { refuseUnknown } from "./refuseUnknown.ts";
import { UNKNOWN, hasUnknown, isObject, textOf, type Path, type Properties, type Value } from "./values.ts";

/** One property of a resource that comes from a Terraform provider, as that provider's schema describes it. */
export interface Field {
  /** Holds where the program says nothing; filled in among the inputs unless it is a zero value. */
  readonly default?: Value;
  /** Where the program says nothing the other side decides, and whatever it decided is no difference. */
  readonly computed?: true;
  /** The program cannot set this. */
  readonly output?: true;
  /** A change is made in place; without this it replaces the resource. */
  readonly update?: true;
  /** A list whose order means nothing. */
  readonly set?: true;
  /** The properties of this object, or of each object in this list. */
  readonly fields?: Schema;
}

/** The properties of a resource, or of an object in it, by name. */
export type Schema = Readonly<Record<string, Field>>;

/** What every resource of a bridged provider shares; create, read, update and delete are its own. */
export interface Bridged extends Pick<Resource, "create" | "read" | "delete"> {
  /** As programs know it, such as docker.Container. */
  readonly type: string;
  readonly schema: Schema;
  /** The resource gets its logical name and seven random digits for a name where the program gives none. */
  readonly autonamed?: true;
  /** The old one always goes first, as for whatever occupies ports or names. */
  readonly deleteBeforeReplace?: true;
  /** Makes the changes that can be made in place. */
  readonly change?: (id: string, inputs: Properties, state: Properties, context: Context) => Promise<void>;
}

/** A resource that fills in defaults, names, compares and keeps its state as the Pulumi bridge for Terraform providers does. */
export function bridged({ type, schema, autonamed, deleteBeforeReplace, change, ...resource }: Bridged): Resource {
  return {
    ...resource,
    check: (news, olds, context) => {
      refuseUnknown(type, schema, news);
      return withDefaults(schema, news, olds, autonamed ? { name: () => autoname(context) } : undefined);
    },
    diff: (state, _oldInputs, news) => ({
      ...compare(schema, state, news),
      deleteBeforeReplace: deleteBeforeReplace ?? (isExplicit(news, "name") && state["name"] === news["name"]),
    }),
    create: (inputs, context) =>
      context.preview ? { id: "", outputs: planned(schema, inputs) } : resource.create(inputs, context),
    update: async (id, inputs, state, context) => {
      if (!context.preview) await change?.(id, inputs, state, context);
      return planned(schema, inputs, state);
    },
    // The order of a set's elements is not kept, so one secret element makes the whole property secret.
    secrets: (given: readonly Path[]) => given.map((path) => path.slice(0, 1)),
  };
}

function autoname({ name, seed }: Context): string {
  const digits = seed.length > 0 ? createHash("sha256").update(seed).digest("hex") : randomBytes(4).toString("hex");
  return `${name}-${digits.slice(0, 7)}`;
}

/** The names of the properties that were filled in and not given, as the bridge keeps them among the inputs. */
const DEFAULTS = "__defaults";

function isExplicit(inputs: Properties, name: string): boolean {
  const defaults = inputs[DEFAULTS];
  return inputs[name] !== undefined && !(Array.isArray(defaults) && defaults.includes(name));
}

/** The inputs with their defaults; one that was filled in before keeps its value, so that names stay. */
export function withDefaults(
  schema: Schema,
  news: Properties,
  olds: Properties,
  computed: Readonly<Record<string, () => Value>> = {},
): Properties {
  const given = Object.fromEntries(
    Object.entries(news).map(([name, value]) => [name, nestedDefaults(schema[name]?.fields, value, olds[name])]),
  );
  const defaults = Object.fromEntries(
    Object.entries(schema)
      .filter(([name]) => given[name] === undefined)
      .map(([name, field]) => {
        const before = isExplicit(olds, name) ? undefined : olds[name];
        return [name, before ?? computed[name]?.() ?? field.default] as const;
      })
      .filter((entry): entry is [string, Value] => !isZero(entry[1])),
  );
  return { ...given, ...defaults, [DEFAULTS]: Object.keys(defaults).sort() };
}

function nestedDefaults(fields: Schema | undefined, value: Value, old: Value | undefined): Value {
  if (!fields) return value;
  if (Array.isArray(value)) {
    return value.map((element, index) => nestedDefaults(fields, element, Array.isArray(old) ? old[index] : undefined));
  }
  return isObject(value) ? withDefaults(fields, value, isObject(old) ? old : {}) : value;
}

/** Which properties are not as the program wants them; those of an object by the path "object.property". */
export function compare(schema: Schema, state: Properties, news: Properties): Diff {
  return { changes: Object.fromEntries(changesIn(schema, state, news)) };
}

function changesIn(schema: Schema, state: Properties, news: Properties): [string, Change][] {
  return Object.entries(schema)
    .filter(([name, field]) => !field.output && differs(field, state[name], news[name]))
    .flatMap(([name, field]): [string, Change][] => {
      const [before, after] = [state[name], news[name]];
      const replace = !field.update;
      if (field.fields && isObject(before) && isObject(after)) {
        return changesIn(field.fields, before, after).map(([path, change]) => [
          `${name}.${path}`,
          { ...change, replace },
        ]);
      }
      const absent = isZero(before) && typeof before !== "boolean" && typeof before !== "number";
      return [[name, { kind: changeKind(absent ? undefined : before, after), replace }]];
    });
}

/** Whether a property must change; Terraform knows no difference between nothing and a zero value. */
export function differs(field: Field, before: Value | undefined, after: Value | undefined): boolean {
  if (after === undefined && field.computed) return false;
  if (hasUnknown(after)) return true;
  if (isZero(after) || isZero(before)) return isZero(after) !== isZero(before);
  if (Array.isArray(after) && Array.isArray(before)) return listsDiffer(field, before, after);
  if (isObject(after) && isObject(before)) return objectsDiffer(field.fields, before, after);
  return textOf(before) !== textOf(after);
}

function listsDiffer(field: Field, before: readonly Value[], after: readonly Value[]): boolean {
  const [olds, news] = field.set ? [ordered(field, before), ordered(field, after)] : [before, after];
  const element: Field = field.fields ? { fields: field.fields } : {};
  return olds.length !== news.length || news.some((value, index) => differs(element, olds[index], value));
}

function objectsDiffer(fields: Schema | undefined, before: Properties, after: Properties): boolean {
  const names = fields ? Object.keys(fields) : [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.some((name) => differs(fields?.[name] ?? {}, before[name], after[name]));
}

/** A set's elements without repetitions, sorted by all that the program can give. */
function ordered(field: Field, values: readonly Value[]): Value[] {
  const keyed = values.map((value) => [JSON.stringify(sortKey(field.fields, value)), value] as const);
  return [...new Map(keyed).entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

function sortKey(fields: Schema | undefined, value: Value): Value {
  if (!isObject(value) || !fields) return value;
  const given = Object.entries(fields).filter(([name, field]) => !field.computed && !isZero(value[name]));
  return given.map(([name, field]) => [name, normal(field, value[name] ?? null)]);
}

function normal(field: Field, value: Value): Value {
  return Array.isArray(value) && field.set ? ordered(field, value) : value;
}

function isZero(value: Value | undefined): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isObject(value)) return Object.entries(value).every(([name, child]) => name === DEFAULTS || isZero(child));
  return value === undefined || value === null || value === "" || value === 0 || value === false;
}

/**
 * All properties as they will be: what the program says, else what they were, else unknown. With a state to start from,
 * as for a resource that is changed in place, nothing is unknown.
 */
export function planned(schema: Schema, inputs: Properties, state?: Properties): Properties {
  const notes = Object.entries(state ?? {}).filter(([name]) => name.startsWith("__") || name === "id");
  const fields = Object.entries(schema).map(([name, field]) => [
    name,
    settled(field, inputs[name], state, state?.[name]),
  ]);
  return Object.fromEntries([...notes, ...fields]) as Properties;
}

/** One property as it is kept in the outputs: sets in order, without the notes on defaults. */
function settled(field: Field, given: Value | undefined, state: unknown, before: Value | undefined): Value {
  const { fields } = field;
  if (given === undefined) {
    const empty = field.set && (fields ?? field.computed) ? [] : (field.default ?? null);
    if (field.computed || field.output) return before ?? (state === undefined ? UNKNOWN : empty);
    return before !== undefined && isZero(before) ? before : empty;
  }
  if (Array.isArray(given)) {
    const [now, then] = [given, Array.isArray(before) ? before : []].map((list) =>
      field.set ? ordered(field, list) : list,
    );
    return (now ?? []).map((element, index) => settled(fields ? { fields } : {}, element, state, then?.[index]));
  }
  if (!isObject(given) || !fields) return given;
  const old = isObject(before) ? before : {};
  const all = Object.entries(fields).map(([name, child]) => [name, settled(child, given[name], state, old[name])]);
  return Object.fromEntries(all) as Properties;
}

/**
 * The inputs that would lead to this state: the old ones wherever they still hold, so that a refresh shows what drifted.
 * What drifted was not filled in, so the next update fills it in anew.
 */
export function driftedInputs(schema: Schema, inputs: Properties, state: Properties): Properties {
  const names = Object.keys(schema).filter(
    (name) => inputs[name] !== undefined && differs(schema[name] ?? {}, state[name], inputs[name]),
  );
  const defaults = inputs[DEFAULTS];
  return {
    ...inputs,
    ...Object.fromEntries(names.map((name) => [name, state[name] ?? null])),
    ...(Array.isArray(defaults) && { [DEFAULTS]: defaults.filter((name) => !names.includes(textOf(name))) }),
  };
}
