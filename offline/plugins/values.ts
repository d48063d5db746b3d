import { specialSecretSig, specialSigKey, unknownValue } from "@pulumi/pulumi/runtime/rpc.js";

/** A property value as it goes over the wire between engine and plugin, once out of its protobuf Struct. */
export type Value = null | boolean | number | string | Value[] | { [key: string]: Value };

/** A resource's properties by name. */
export type Properties = Record<string, Value>;

/** Where in a property map a value lies: object keys and array indices, outermost first. */
export type Path = readonly (string | number)[];

/** Stands for a value that is only known once another resource exists; seen in previews only. */
export const UNKNOWN: string = unknownValue;

/** Whether this value is an object, neither null nor an array. */
export function isObject(value: Value | undefined): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as text: a string as it is, nothing as an empty one, all else as JSON. */
export function textOf(value: Value | undefined): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Whether this value is unknown or has something unknown in it. */
export function hasUnknown(value: Value | undefined): boolean {
  if (Array.isArray(value)) return value.some(hasUnknown);
  if (isObject(value)) return Object.values(value).some(hasUnknown);
  return value === UNKNOWN;
}

function secretElement(value: Value | undefined): Value | undefined {
  return isObject(value) && value[specialSigKey] === specialSecretSig ? (value["value"] ?? null) : undefined;
}

/** The same value with every secret in the clear, at every depth, and properties that are null left out. */
export function reveal(value: Value): Value {
  const element = secretElement(value);
  if (element !== undefined) return reveal(element);
  if (Array.isArray(value)) return value.map(reveal);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, child]) => [key, reveal(child)] as const)
      .filter(([, child]) => child !== null),
  );
}

/** The places of all secrets in a value, outermost ones only. */
export function secretPaths(value: Value, at: Path = []): Path[] {
  if (secretElement(value) !== undefined) return [at];
  if (Array.isArray(value)) return value.flatMap((child, index) => secretPaths(child, [...at, index]));
  if (isObject(value)) return Object.entries(value).flatMap(([key, child]) => secretPaths(child, [...at, key]));
  return [];
}

/** The same value with what lies at these places marked secret, so that the engine encrypts it; places that it lacks are skipped. */
export function conceal(value: Value, paths: readonly Path[]): Value {
  if (paths.some((path) => path.length === 0)) return { [specialSigKey]: specialSecretSig, value };
  const below = (key: string | number): Path[] => paths.filter(([first]) => first === key).map((path) => path.slice(1));
  if (Array.isArray(value)) return value.map((child, index) => conceal(child, below(index)));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, conceal(child, below(key))]));
}
