/**
 * JSON schemas that an engine turns into a grammar without harm. Its converter knows a part of JSON Schema, throws at
 * some of the rest, which ended the process, and leaves out what it does not know without a word. Here a schema is
 * rebuilt from what both engines enforce; notes for people (`title`, `description`, …) are dropped, and everything else
 * that would restrict the answer is refused by name.
 */
const most = { nodes: 200, nesting: 12, optionalProperties: 32, enumeration: 256, text: 512, repetitions: 500 };

const types = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);
const formats = new Set(["date", "time", "date-time", "uuid"]);
const notes = new Set([
  "title",
  "description",
  "default",
  "examples",
  "$schema",
  "$id",
  "$comment",
  "deprecated",
  "strict",
]);

type Schema = Record<string, unknown>;

export class SchemaError extends Error {}

/**
 * @returns the part of a schema that reaches the engine
 * @throws SchemaError that says what is wrong, and where
 */
export function engineSchema(schema: unknown): Schema {
  const reader = new Reader(schema);
  const cleaned = reader.schema(schema, "", 0);
  const definitions = reader.definitions();
  if (Object.keys(definitions).length > 0) cleaned.$defs = definitions;
  refuseEndless(cleaned, definitions);
  return cleaned;
}

/** Reads one schema with its definitions, and keeps count of what all parts together cost. */
class Reader {
  private readonly root: Schema;
  private nodes = 0;
  private repetitions = 0;

  constructor(root: unknown) {
    this.root = isObject(root) ? root : {};
  }

  definitions(): Record<string, Schema> {
    const found = { ...object(this.root.definitions ?? {}, "definitions"), ...object(this.root.$defs ?? {}, "$defs") };
    return this.named(found, "$defs", 1);
  }

  schema(schema: unknown, path: string, depth: number): Schema {
    if (!isObject(schema)) throw new SchemaError(`${at(path)}expected a schema, which is an object`);
    if (depth > most.nesting) throw new SchemaError(`a schema may be nested up to ${most.nesting} deep`);
    if (++this.nodes > most.nodes) throw new SchemaError(`a schema may have up to ${most.nodes} parts`);
    const cleaned: Schema = {};
    for (const [keyword, value] of Object.entries(schema)) {
      if (notes.has(keyword) || (depth === 0 && (keyword === "$defs" || keyword === "definitions"))) continue;
      const kept = this.keyword(keyword, value, `${path}.${keyword}`, depth);
      if (kept !== undefined) cleaned[keyword] = kept;
    }
    return checkCombination(cleaned, path);
  }

  /** @returns the keyword's value for the engine; undefined leaves it out */
  private keyword(keyword: string, value: unknown, path: string, depth: number): unknown {
    switch (keyword) {
      case "type":
        return typeOf(value, path);
      case "properties":
        return this.named(object(value, path), path, depth + 1);
      case "required":
        return list(value, path, most.nodes, 0).map((name) => text(name, path));
      case "additionalProperties":
        return typeof value === "boolean" ? value : this.schema(value, path, depth + 1);
      case "items":
        return this.schema(value, path, depth + 1);
      case "anyOf":
      case "oneOf":
      case "allOf":
      case "prefixItems":
        return list(value, path, 32).map((part, index) => this.schema(part, `${path}[${index}]`, depth + 1));
      case "enum":
        return list(value, path, most.enumeration).map((item) => scalar(item, path));
      case "const":
        return scalar(value, path);
      case "$ref":
        return this.reference(value, path);
      case "minItems":
      case "maxItems":
      case "minLength":
      case "maxLength":
        return this.repetition(value, path);
      case "minimum":
      case "maximum":
      case "exclusiveMinimum":
      case "exclusiveMaximum":
        return integer(value, path, -1_000_000_000, 1_000_000_000);
      case "format":
        return typeof value === "string" && formats.has(value) ? value : undefined;
      default:
        throw new SchemaError(`${at(path)}the keyword ${JSON.stringify(keyword.slice(0, 40))} is not supported`);
    }
  }

  private named(schemas: Schema, path: string, depth: number): Record<string, Schema> {
    const cleaned = Object.entries(schemas).map(([name, schema]): [string, Schema] => {
      if (name.startsWith("$") || name === "__proto__" || name.length > 128) {
        throw new SchemaError(`${at(path)}a name may have up to 128 characters, and no $ in front`);
      }
      return [name, this.schema(schema, `${path}.${name}`, depth)];
    });
    return Object.fromEntries(cleaned);
  }

  private reference(value: unknown, path: string): string {
    const name = typeof value === "string" ? /^#\/(?:\$defs|definitions)\/([^/~%]+)$/.exec(value)?.[1] : undefined;
    const known = { ...object(this.root.definitions ?? {}, path), ...object(this.root.$defs ?? {}, path) };
    if (name === undefined || !Object.hasOwn(known, name)) {
      throw new SchemaError(`${at(path)}expected "#/$defs/…" with a name that $defs has`);
    }
    return `#/$defs/${name}`;
  }

  private repetition(value: unknown, path: string): number {
    const times = integer(value, path, 0, most.repetitions);
    this.repetitions += times;
    if (this.repetitions > most.repetitions) {
      throw new SchemaError(`a schema's lengths and numbers of items may come to ${most.repetitions} in all`);
    }
    return times;
  }
}

/** What each keyword alone does not show. */
function checkCombination(schema: Schema, path: string): Schema {
  const properties = Object.keys(object(schema.properties ?? {}, path));
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  if (properties.filter((name) => !required.has(name)).length > most.optionalProperties) {
    throw new SchemaError(
      `${at(path)}an object may have up to ${most.optionalProperties} properties that are not required`,
    );
  }
  for (const [low, high] of [
    ["minItems", "maxItems"],
    ["minLength", "maxLength"],
    ["minimum", "maximum"],
  ] as const) {
    if (Number(schema[low] ?? -Infinity) > Number(schema[high] ?? Infinity)) {
      throw new SchemaError(`${at(path)}${low} is greater than ${high}`);
    }
  }
  const bounded = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"].some((name) => name in schema);
  if (bounded && schema.type !== "integer") {
    throw new SchemaError(`${at(path)}bounds are enforced for the type integer only`);
  }
  return schema;
}

/** Definitions that mean themselves, at once and not inside a property or an item, have no end. */
function refuseEndless(root: Schema, definitions: Record<string, Schema>): void {
  const follow = (schema: Schema, seen: readonly string[]): void => {
    const name = typeof schema.$ref === "string" ? schema.$ref.slice("#/$defs/".length) : undefined;
    if (name !== undefined) {
      if (seen.includes(name)) throw new SchemaError(`the definition ${name} means itself`);
      follow(definitions[name] ?? {}, [...seen, name]);
    }
    for (const keyword of ["anyOf", "oneOf", "allOf"]) {
      const parts = schema[keyword];
      if (Array.isArray(parts)) for (const part of parts) follow(part as Schema, seen);
    }
  };
  follow(root, []);
  for (const [name, schema] of Object.entries(definitions)) follow(schema, [name]);
}

function typeOf(value: unknown, path: string): unknown {
  const names = Array.isArray(value) ? value : [value];
  if (names.length === 0 || names.length > types.size || !names.every((name) => types.has(name as string))) {
    throw new SchemaError(`${at(path)}expected one or several of ${[...types].join(", ")}`);
  }
  return value;
}

function scalar(value: unknown, path: string): unknown {
  if (typeof value === "string") return text(value, path);
  if (value === null || typeof value === "number" || typeof value === "boolean") return value;
  throw new SchemaError(`${at(path)}expected texts, numbers, true, false or null`);
}

function text(value: unknown, path: string): string {
  if (typeof value === "string" && value.length <= most.text) return value;
  throw new SchemaError(`${at(path)}expected texts of up to ${most.text} characters`);
}

function integer(value: unknown, path: string, min: number, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new SchemaError(`${at(path)}expected a whole number from ${min} to ${max}`);
}

function list(value: unknown, path: string, max: number, min = 1): unknown[] {
  if (Array.isArray(value) && value.length >= min && value.length <= max) return value;
  throw new SchemaError(`${at(path)}expected a list of ${min} to ${max}`);
}

function object(value: unknown, path: string): Schema {
  if (isObject(value)) return value;
  throw new SchemaError(`${at(path)}expected an object`);
}

function isObject(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** "properties.a.type: " */
function at(path: string): string {
  return path === "" ? "" : `${path.slice(1, 200)}: `;
}
