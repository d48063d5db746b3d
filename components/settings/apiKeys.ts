import { z } from "zod";

/** A key that clients may send. */
export interface NamedKey {
  /** Shown in the gateway's log and metrics. */
  name: string;
  /** In plain text. */
  key: string;
  limits: KeyLimits;
}

/** One key's limits; a missing one means unlimited. */
export type KeyLimits = Readonly<z.output<typeof limits>>;

/** RFC 6750, section 2.1: what may follow "Bearer ". */
const pattern = /^[A-Za-z0-9._~+/-]{8,512}=*$/;

/** Messages do not contain the entry, which may be a secret. */
const wrongKey = "has a key that is not in the right form";
const wrongName = "has a name that is not of up to 64 letters, digits, dots and dashes";
const wrongLimits = "has a key with limits that are none";

const key = z.string({ error: wrongKey }).regex(pattern, wrongKey);
const limit = z.int({ error: wrongLimits }).positive(wrongLimits).optional();
const limits = z.strictObject(
  { concurrentRequests: limit, requestsPerMinute: limit, tokensPerMinute: limit },
  { error: wrongLimits },
);
const limited = z.looseObject({ key }, { error: wrongKey }).transform(({ key, ...rest }, context) => {
  const parsed = limits.safeParse(rest);
  if (!parsed.success) context.addIssue(wrongLimits);
  return { key, limits: parsed.data ?? {} };
});
const entry = z.preprocess((value) => (typeof value === "string" ? { key: value } : value), limited);
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, wrongName);

const listOfKeys = z.array(entry).transform(numbered);
const keysByName = z.record(name, entry, { error: "neither a list nor an object of keys" }).transform(named);

/** A list of keys, or keys by name, each with or without limits. */
export function apiKeys() {
  return z
    .string()
    .transform((text, context): NamedKey[] => {
      const value = parseJson(text);
      const parsed = (Array.isArray(value) ? listOfKeys : keysByName).safeParse(value);
      for (const message of new Set(parsed.error?.issues.map(messageOf))) context.addIssue(message);
      return parsed.data ?? z.NEVER;
    })
    .describe(
      'keys by name, such as {"web": "KEY", "batch": {"key": "KEY", "requestsPerMinute": 60}}, or a list, such as ["KEY"]; ' +
        "each key of 8 to 512 letters, digits and . _ ~ + / -",
    );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** zod's own message about a record's key does not say what is wrong with it. */
function messageOf({ code, message }: z.core.$ZodIssue): string {
  return code === "invalid_key" ? wrongName : message;
}

type Entry = Omit<NamedKey, "name">;

function numbered(keys: Entry[]): NamedKey[] {
  return keys.map((each, index) => ({ name: `key-${index + 1}`, ...each }));
}

function named(keys: Record<string, Entry>): NamedKey[] {
  return Object.entries(keys).map(([name, each]) => ({ name, ...each }));
}
