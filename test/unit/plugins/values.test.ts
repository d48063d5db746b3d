import { specialSecretSig, specialSigKey } from "@pulumi/pulumi/runtime/rpc.js";
import { expect, test } from "vitest";
import { UNKNOWN, conceal, hasUnknown, reveal, secretPaths } from "../../../offline/plugins/values.ts";

const secret = (value: string) => ({ [specialSigKey]: specialSecretSig, value });
const raw = { list: ["a", secret("b")], object: { inner: secret("c") }, plain: 1, nothing: null };

test("secrets are shown to a resource in the clear, and null is left out", () => {
  expect(reveal(raw)).toEqual({ list: ["a", "b"], object: { inner: "c" }, plain: 1 });
});

test("what came in as a secret goes out as a secret, in the very same place", () => {
  const paths = secretPaths(raw);
  expect(paths).toEqual([
    ["list", 1],
    ["object", "inner"],
  ]);
  expect(conceal(reveal(raw), paths)).toEqual({ list: ["a", secret("b")], object: { inner: secret("c") }, plain: 1 });
});

test("a place that the outputs lack is no error", () => {
  expect(conceal({ plain: 1 }, [["list", 1]])).toEqual({ plain: 1 });
});

test("an unknown value is found however deep it lies", () => {
  expect(hasUnknown({ a: [{ b: UNKNOWN }] })).toBe(true);
  expect(hasUnknown({ a: [{ b: "known" }] })).toBe(false);
});
