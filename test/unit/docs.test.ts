import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configurationReference } from "../../docs/generateConfiguration.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("docs/configuration.md says what Pulumi.yaml says (`npm run docs` writes it)", () => {
  expect(read("docs/configuration.md")).toBe(configurationReference(read("Pulumi.yaml")));
});
