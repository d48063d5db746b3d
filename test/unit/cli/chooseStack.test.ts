import { expect, test } from "vitest";
import { chooseStack } from "../../../cli/chooseStack.ts";

const open = () => Promise.resolve({ open: true, reason: "" });
const closed = () => Promise.resolve({ open: false, reason: "cannot reach GitHub (ENOTFOUND)" });
const unasked = () => Promise.reject(new Error("nobody may ask"));
const selected = (name: string, resourceCount?: number) => () => Promise.resolve({ name, resourceCount });
const none = () => Promise.resolve(undefined);

test("the stack that the user named, and nothing else is asked", async () => {
  expect(await chooseStack("mine", unasked, unasked)).toEqual({ stack: "mine" });
});

test("the selected stack, if there is anything of it, whatever the network is now", async () => {
  expect(await chooseStack(undefined, selected("offline", 10), unasked)).toEqual({ stack: "offline" });
});

test.each([
  ["is selected", none],
  ["that is selected is up", selected("other", 0)],
  ["that is selected was ever up", selected("other")],
])("where no stack %s: dev on an open network, offline on a closed one, with the reason", async (_, last) => {
  expect(await chooseStack(undefined, last, open)).toEqual({ stack: "dev", why: "the network is open" });
  expect(await chooseStack(undefined, last, closed)).toEqual({
    stack: "offline",
    why: "cannot reach GitHub (ENOTFOUND)",
  });
});
