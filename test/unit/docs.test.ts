import { existsSync, readFileSync } from "node:fs";
import ts from "typescript";
import { expect, test } from "vitest";
import { StackText } from "../../cli/stackSettings.ts";
import { commandReference } from "../../docs/generateCommands.ts";
import { troubleshooting } from "../../docs/generateTroubleshooting.ts";
import { messagesOf } from "../../docs/messages/collect.ts";
import { configurationReference, examples } from "../../docs/generateConfiguration.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("docs/configuration.md says what components/settings says (`npm run docs` writes it)", () => {
  expect(read("docs/configuration.md")).toBe(configurationReference());
});

test("docs/commands.md says what cli/program.ts says (`npm run docs` writes it)", () => {
  expect(read("docs/commands.md")).toBe(commandReference());
});

test("docs/troubleshooting.md has every message that the program prints, with what helps (`npm run docs` writes it)", () => {
  const page = troubleshooting();
  expect(read("docs/troubleshooting.md")).toBe(page);
  expect(page).not.toMatch(/\| {2}\|$/m);
});

test("messages are found in every form in which the source has them; one that cannot be read is an error", () => {
  const found = (code: string) =>
    messagesOf(ts.createSourceFile("x.ts", code, ts.ScriptTarget.Latest, true)).map(({ wrong, right }) => [
      wrong,
      right,
    ]);
  expect(found('const e = { key, wrong: "too many", right: `at most ${n}` };')).toEqual([["too many", "at most …"]]);
  expect(found('const wrong = a ? "too few" : "none"; f({ wrong, right: "one" });')).toEqual([
    ["too few", "one"],
    ["none", "one"],
  ]);
  expect(found('throw refuse(`${n} is odd`, "an even number");')).toEqual([["… is odd", "an even number"]]);
  expect(found('refuse(key, "it is odd", "an even number");')).toEqual([["it is odd", "an even number"]]);
  expect(found('throw new OperationFailed("not up");')).toEqual([["not up", undefined]]);
  expect(() => found("throw new OperationFailed(textOf(thing));")).toThrow(/cannot read the message textOf/);
});

test.each(Object.entries(examples))("the documentation's example for target %s works as it stands", (target, text) => {
  const { values, isRight } = new StackText(text).resolve();
  expect(isRight).toBe(true);
  expect(values.target).toBe(target);
});

const promises = [...read("docs/reliability.md").matchAll(/`(test\/\S+\.ts)` "([^"]+)"/g)];

test("docs/reliability.md has a test for each promise", () => {
  const rows = [...read("docs/reliability.md").matchAll(/^\| (?!promise|---).*$/gm)];
  expect(promises.length).toBeGreaterThan(15);
  expect(promises).toHaveLength(rows.length);
});

test.each(promises.map(([, file = "", name = ""]) => [file, name]))("%s has the test %j", (file, name) => {
  expect(read(file)).toContain(`"${name}"`);
});

test("docs/extending.md names files that exist", () => {
  const named = [...read("docs/extending.md").matchAll(/`([\w-]+(?:\/[\w.-]+)+)\/?`/g)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((path) => !existsSync(new URL(`../../${path}`, import.meta.url)))).toEqual([]);
});
