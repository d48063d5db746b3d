import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { apiReference } from "../../../docs/generateApi.ts";

it("docs/api.md says what the schemas say: npm run docs", () => {
  expect(readFileSync(new URL("../../../docs/api.md", import.meta.url), "utf8")).toBe(apiReference());
});
