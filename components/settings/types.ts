import { z } from "zod";

// The kinds of setting values. Pulumi passes every value as text, and lists as JSON. `describe` says what a valid value
// is, for messages and for docs/configuration.md.

interface Note {
  meaning: string;
  secret: boolean;
}
const notes = z.registry<Note>();

/** A setting's description for the documentation and the messages. */
export interface Description extends Note {
  /** What a valid value is. */
  right: string;
  /** The default value; undefined if there is none. */
  byDefault: unknown;
}

/**
 * Adds the setting's meaning to a type.
 * @param meaning in one or two sentences, for docs/configuration.md
 */
export function setting<T extends z.ZodType>(type: T, meaning: string, { secret = false } = {}): T {
  notes.add(type, { meaning, secret });
  return type;
}

export function describeSetting(type: z.ZodType): Description {
  const { meaning, secret } = notes.get(type) ?? { meaning: "", secret: false };
  const inner = type instanceof z.ZodOptional || type instanceof z.ZodDefault ? type.unwrap() : type;
  const right = (inner as z.ZodType).description ?? "";
  return { meaning, secret, right, byDefault: type.safeParse(undefined).data };
}

export function text(pattern: RegExp, right: string) {
  return z.string().regex(pattern, "not in the right form").describe(right);
}

export function oneOf<const T extends readonly [string, ...string[]]>(...values: T) {
  return z.enum(values, { error: "not one of the possible values" }).describe(values.join(" or "));
}

export function flag() {
  return z
    .enum(["true", "false"], { error: "neither true nor false" })
    .transform((value) => value === "true")
    .describe("true or false");
}

export function integer(minimum: number, maximum: number) {
  return z
    .string()
    .regex(/^[+-]?\d+$/, "not a whole number")
    .transform(Number)
    .refine((value) => value >= minimum, `less than ${minimum}`)
    .refine((value) => value <= maximum, `more than ${maximum}`)
    .describe(`a whole number from ${minimum} to ${maximum}`);
}

/** @param right such as `a list of names, such as ["a", "b"]` */
export function list<T extends z.ZodType<string, string>>(entry: T, right: string) {
  return json(z.array(entry, { error: "not a list" })).describe(right);
}

/** A value given as JSON. */
export function json<T extends z.ZodType>(type: T) {
  return z.string().transform(parseJson).pipe(type);
}

/** An entry of a list. @param wrong said of an invalid entry, which is not shown because it may be a secret */
export function entry(pattern: RegExp, wrong: string) {
  return z.string({ error: wrong }).regex(pattern, wrong);
}

function parseJson(value: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(value);
  } catch {
    context.addIssue("not a list");
    return z.NEVER;
  }
}
