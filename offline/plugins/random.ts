import { randomBytes, randomInt } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { changedInputs } from "./compare.ts";
import type { Resource, State } from "./provider.ts";
import { refuseUnknown, type Known } from "./refuseUnknown.ts";
import { serve } from "./serve.ts";
import { UNKNOWN, type Properties } from "./values.ts";

/** A resource that is drawn once and replaced whenever an input is no longer the one it was drawn for. */
interface Drawn {
  /** As programs know it, such as random.RandomId. */
  readonly type: string;
  /** What a program may set; anything else is refused. */
  readonly known: Known;
  /** What holds where the program says nothing. */
  readonly defaults?: Properties;
  /** The outputs that are not known before it was drawn. */
  readonly computed: readonly string[];
  readonly draw: (inputs: Properties) => State;
}

function drawn({ type, known, defaults = {}, computed, draw }: Drawn): Resource {
  return {
    check: (news) => {
      refuseUnknown(type, known, news);
      return news;
    },
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

const LETTERS_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Of letters and digits only, without the official plugin's bcryptHash: Node has no bcrypt. */
const password = drawn({
  type: "random.RandomPassword",
  known: { length: {}, special: {} },
  defaults: {
    ...{ special: true, upper: true, lower: true, number: true, numeric: true },
    ...{ minSpecial: 0, minUpper: 0, minLower: 0, minNumeric: 0 },
  },
  computed: ["result"],
  draw: ({ length }) => {
    const letters = Array.from(
      { length: Number(length) },
      () => LETTERS_AND_DIGITS[randomInt(LETTERS_AND_DIGITS.length)],
    );
    return { id: "none", outputs: { __meta: JSON.stringify({ schema_version: "3" }), result: letters.join("") } };
  },
});

const id = drawn({
  type: "random.RandomId",
  known: { byteLength: {}, keepers: {} },
  computed: ["b64Std", "b64Url", "dec", "hex"],
  draw: ({ byteLength }) => {
    const bytes = randomBytes(Number(byteLength));
    const [b64Std, b64Url, hex] = [bytes.toString("base64"), bytes.toString("base64url"), bytes.toString("hex")];
    return { id: b64Url, outputs: { b64Std, b64Url, dec: BigInt(`0x${hex}`).toString(), hex } };
  },
});

await serve({
  version: "4.21.1",
  resources: {
    "random:index/randomPassword:RandomPassword": {
      ...password,
      check: (news, olds, context) => {
        if (news["special"] !== false)
          throw new Error("the stand-in for random.RandomPassword has no special characters");
        return password.check(news, olds, context);
      },
      secretOutputs: ["result"],
    },
    "random:index/randomId:RandomId": id,
  },
});
