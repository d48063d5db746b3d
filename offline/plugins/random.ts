import { randomBytes, randomInt } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { changedInputs } from "./compare.ts";
import { serve, type Resource, type State } from "./serve.ts";
import { UNKNOWN, textOf, type Properties, type Value } from "./values.ts";

// RandomPassword's bcryptHash is left out: Node has no bcrypt.

/** The alphabets of random.RandomString and RandomPassword; the special characters are hashicorp/random's default. */
const ALPHABETS = {
  special: "!@#$%&*()-_=+[]{}<>:?",
  upper: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
  lower: "abcdefghijklmnopqrstuvwxyz",
  numeric: "0123456789",
} as const;

/** A resource that is drawn once and replaced whenever an input is no longer the one it was drawn for. */
function drawn(defaults: Properties, computed: readonly string[], draw: (inputs: Properties) => State): Resource {
  return {
    check: (news) => news,
    diff: (state, oldInputs, news) => {
      const wanted = { ...defaults, ...news };
      const changed = Object.entries(changedInputs(oldInputs, news)).filter(
        ([name]) => !isDeepStrictEqual(wanted[name], state[name]),
      );
      return { changes: Object.fromEntries(changed.map(([name, change]) => [name, { ...change, replace: true }])) };
    },
    create: (given, { preview }) => {
      const inputs = { ...defaults, ...given };
      if (preview) return { id: "", outputs: { ...inputs, ...unknowns(computed) } };
      const { id, outputs } = draw(inputs);
      return { id, outputs: { ...inputs, ...outputs, id } };
    },
    update: (_id, inputs, state) => ({ ...state, ...inputs }),
  };
}

function unknowns(names: readonly string[]): Properties {
  return Object.fromEntries(names.map((name) => [name, UNKNOWN]));
}

const TEXT_DEFAULTS: Properties = {
  ...{ special: true, upper: true, lower: true, number: true, numeric: true },
  ...{ minSpecial: 0, minUpper: 0, minLower: 0, minNumeric: 0 },
};

/** The official plugin's note of which version of its state this is. */
function stateVersion(version: number): Properties {
  return { __meta: JSON.stringify({ schema_version: String(version) }) };
}

/** A text of `length` characters with at least the demanded number of each kind, in random order. */
function randomText(inputs: Properties): string {
  const length = count(inputs["length"]);
  const numeric = inputs["number"] !== false && inputs["numeric"] !== false;
  const kinds = [
    {
      on: inputs["special"],
      least: inputs["minSpecial"],
      letters: textOf(inputs["overrideSpecial"] ?? ALPHABETS.special),
    },
    { on: inputs["upper"], least: inputs["minUpper"], letters: ALPHABETS.upper },
    { on: inputs["lower"], least: inputs["minLower"], letters: ALPHABETS.lower },
    { on: numeric, least: inputs["minNumeric"], letters: ALPHABETS.numeric },
  ];
  const demanded = kinds.flatMap(({ least, letters }) => pick(letters, count(least)));
  const all = kinds.map(({ on, letters }) => (on === true ? letters : "")).join("");
  if (demanded.length > length)
    throw new Error(`length ${length} is less than the ${demanded.length} characters demanded`);
  if (all === "") throw new Error("at least one of special, upper, lower and numeric must be true");
  return shuffle([...demanded, ...pick(all, length - demanded.length)]).join("");
}

function count(value: Value | undefined): number {
  return typeof value === "number" ? value : 0;
}

function pick(letters: string, times: number): string[] {
  return Array.from({ length: times }, () => letters.charAt(randomInt(letters.length)));
}

function shuffle<T>(items: readonly T[]): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(randomInt(left.length), 1));
}

const password = drawn(TEXT_DEFAULTS, ["result"], (inputs) => ({
  id: "none",
  outputs: { ...stateVersion(3), result: randomText(inputs) },
}));

const text = drawn(TEXT_DEFAULTS, ["result"], (inputs) => {
  const result = randomText(inputs);
  return { id: result, outputs: { ...stateVersion(2), result } };
});

const id = drawn({}, ["b64Std", "b64Url", "dec", "hex"], (inputs) => {
  const bytes = randomBytes(count(inputs["byteLength"]));
  const prefix = textOf(inputs["prefix"]);
  const b64Url = bytes.toString("base64url");
  return {
    id: b64Url,
    outputs: {
      b64Std: prefix + bytes.toString("base64"),
      b64Url: prefix + b64Url,
      dec: prefix + BigInt(`0x${bytes.toString("hex")}`).toString(),
      hex: prefix + bytes.toString("hex"),
    },
  };
});

const bytes = drawn({}, ["base64", "hex"], (inputs) => {
  const drawnBytes = randomBytes(count(inputs["length"]));
  const base64 = drawnBytes.toString("base64");
  return { id: base64, outputs: { base64, hex: drawnBytes.toString("hex") } };
});

await serve({
  version: "4.21.1",
  resources: {
    "random:index/randomPassword:RandomPassword": { ...password, secretOutputs: ["result"] },
    "random:index/randomString:RandomString": text,
    "random:index/randomId:RandomId": id,
    "random:index/randomBytes:RandomBytes": { ...bytes, secretOutputs: ["base64", "hex"] },
  },
});
