import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { execa } from "execa";
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
    const named = [...read(path).matchAll(/npm run (?:-s )?([a-z][a-z:-]*)/g)].map(([, name]) => name);
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

test("npm pack packs what the commands need, and nothing that a stack or a build has left here", async () => {
  // Without scripts, as other tests read the checkout meanwhile.
  const { stdout: packed } = await execa("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: checkout });
  const paths = [...packed.matchAll(/"path": "([^"]+)"/g)].map(([, path = ""]) => path);
  const folders = [
    "bench",
    "cli",
    "commands",
    "components",
    "dashboard",
    "docker",
    "docs",
    "gateway",
    "offline",
    "tools",
  ];
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "--", ...folders];
  const { stdout: sources } = await execa("git", args, { cwd: checkout });
  const isInFolder = (path: string) => folders.some((folder) => path.startsWith(`${folder}/`));
  expect(paths.filter(isInFolder).toSorted()).toEqual(sources.split("\n").toSorted());
  const others = [
    "index.ts",
    "package.json",
    "Pulumi.yaml",
    "Pulumi.dev.yaml",
    "Pulumi.prod.yaml",
    "README.md",
    "LICENSE",
    // npm packs no package-lock.json, so this is the lock file's name here.
    "npm-shrinkwrap.json",
  ];
  expect(paths).toEqual(expect.arrayContaining(others));
  expect(paths.filter((path) => /^Pulumi\.(?!(dev|prod)\.)\w+\.yaml|^\./.test(path))).toEqual([]);
});

test("npx bitnet-server runs in a checkout, and says why it does not inside node_modules", async () => {
  const bin = join(checkout, "cli/bitnet-server.mjs");
  const here = await execa(bin, ["help"], { cwd: checkout });
  expect(here.stdout).toContain("Usage: bitnet-server");
  const folder = mkdtempSync(join(tmpdir(), "bin-"));
  const there = join(folder, "node_modules/bitnet-server/cli/bitnet-server.mjs");
  mkdirSync(dirname(there), { recursive: true });
  copyFileSync(bin, there);
  const refused = await execa(process.execPath, [there, "help"], { reject: false });
  expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("node_modules") as string });
  rmSync(folder, { recursive: true });
});
