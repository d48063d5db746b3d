import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { StackText } from "../../cli/stackSettings.ts";
import { commandReference } from "../../docs/generateCommands.ts";
import { configurationReference, examples } from "../../docs/generateConfiguration.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("docs/configuration.md says what components/settings says (`npm run docs` writes it)", () => {
  expect(read("docs/configuration.md")).toBe(configurationReference());
});

test("docs/commands.md says what cli/program.ts says (`npm run docs` writes it)", () => {
  expect(read("docs/commands.md")).toBe(commandReference());
});

test.each(Object.entries(examples))("the documentation's example for target %s works as it stands", (target, text) => {
  const { values, isRight } = new StackText(text).resolve();
  expect(isRight).toBe(true);
  expect(values.target).toBe(target);
});
