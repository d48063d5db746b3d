import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { checkout } from "../../cli/paths.ts";

const read = (path: string) => readFileSync(join(checkout, path), "utf8");
const { version, license, scripts, dependencies } = z
  .object({
    version: z.string(),
    license: z.string(),
    scripts: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read("package.json")));

test("the licence is the one that package.json names", () => {
  expect(read("LICENSE")).toMatch(new RegExp(`^${license} License\n`));
});

test("a version manager installs the Node that the project runs with", () => {
  expect(read(".nvmrc").trim()).toBe(dependencies.node);
});

test("the changelog begins with this version", () => {
  expect(/^## (\S+?),? /m.exec(read("CHANGELOG.md"))?.[1]).toBe(version);
});

describe.each(["server", "gateway", "load-balancer", "registry", "monitoring"])("the image %s", (image) => {
  const lastStage =
    read(`docker/${image}/Dockerfile`)
      .split(/^FROM /m)
      .at(-1) ?? "";

  test("says its version, which is package.json's, and its licences", () => {
    expect(/org\.opencontainers\.image\.version=(\S+)/.exec(lastStage)?.[1]).toBe(version);
    expect(/org\.opencontainers\.image\.licenses="([^"]+)"/.exec(lastStage)?.[1]).toMatch(/^MIT\b/);
  });

  test("says its revision and source only if a build is told them, so that no commit makes another image", () => {
    for (const name of ["revision", "source"]) {
      const variable = name.toUpperCase();
      expect(lastStage).toContain(`org.opencontainers.image.${name}=$${variable}`);
      expect(lastStage).toMatch(new RegExp(`^ARG ${variable}=$`, "m"));
    }
  });
});

const workflows = readdirSync(join(checkout, ".github/workflows"));

test.each(["CONTRIBUTING.md", "README.md", ...workflows.map((file) => `.github/workflows/${file}`)])(
  "every npm command in %s exists",
  (path) => {
    const named = [...read(path).matchAll(/npm run (?:-s )?([a-z][a-z:]*)/g)].map(([, name]) => name);
    expect(named.filter((name) => name !== undefined && !(name in scripts))).toEqual([]);
  },
);

test.each(workflows)("the workflow %s has no right by default but to read", (file) => {
  const { permissions } = z
    .object({ permissions: z.record(z.string(), z.string()) })
    .parse(parse(read(`.github/workflows/${file}`)));
  const { contents, ...others } = permissions;
  expect(contents).toBe("read");
  expect(Object.keys(others).filter((right) => !["id-token", "pull-requests"].includes(right))).toEqual([]);
});
