import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };

/** What a plain `pulumi up` and `npm run …` are made of; offline/ is reached from cli/, with everything installed. */
const product = ["index.ts", "{components,cli,commands,dashboard,gateway,tools}/**/*.{ts,mjs}"];

/** Node itself, which cli/bootstrap.mjs starts. */
const startedNotImported = ["node"];

// The other direction, that the product imports none of the devDependencies, is held by eslint's no-extraneous-dependencies.
test("every runtime dependency is imported by the product, not just by stand-ins and tests", () => {
  const sources = globSync(product).map((file) => readFileSync(file, "utf8"));
  const imported = new Set(
    sources.flatMap((text) => [...text.matchAll(/from "((?:@[^/"]+\/)?[^./"][^/"]*)/g)].map(([, name]) => name)),
  );
  const unused = Object.keys(manifest.dependencies).filter((name) => !imported.has(name));
  expect(unused).toEqual(startedNotImported);
});
