import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isGitUrl, requireEngineSource } from "../../../components/image/engineSource.ts";
import { userErrorOf } from "../../support/userError.ts";

test("a git URL is told from a path", () => {
  expect(["https://example.com/a.git", "git://127.0.0.1/a", "git@example.com:a/b.git"].every(isGitUrl)).toBe(true);
  expect(["engine.tar.gz", "./a/b.tar", "/a/b@c/d.tar"].some(isGitUrl)).toBe(false);
});

test.each([
  ["git@example.com:a/b.git", "git@example.com:a/b.git"],
  ["ssh://git@example.com/a/b.git", "ssh://git@example.com/a/b.git"],
  ["file:///srv/a.git", "file:///srv/a.git"],
])("%s is refused: the build could not clone it", (engineRepo, value) => {
  const [problem] = problemsOf(engineRepo);
  expect(problem).toMatchObject({ key: "engineRepo", value });
  expect(problem?.wrong).toContain("cannot clone it");
});

test.each([
  "https://me:secret-token@example.com/a.git",
  "https://secret-token@example.com/a.git",
  "ssh://me:secret-token@h/a",
])("%s is refused and not shown: it has credentials in it", (engineRepo) => {
  const [problem, ...others] = problemsOf(engineRepo);
  expect(others).toEqual([]);
  expect(problem?.wrong).toContain("a user name or a password in it");
  expect(JSON.stringify(problem)).not.toContain("secret-token");
});

test.each(["https://github.com/microsoft/BitNet", "http://127.0.0.1:1234/a", "git://127.0.0.1/a"])(
  "%s is accepted",
  (engineRepo) => {
    expect(() => {
      requireEngineSource(engineRepo);
    }).not.toThrow();
  },
);

function problemsOf(engineRepo: string) {
  return userErrorOf(() => {
    requireEngineSource(engineRepo);
  }).problems;
}

test("a source tarball that is not there is refused before anything is built", () => {
  expect(
    userErrorOf(() => {
      requireEngineSource("./no-such.tar.gz");
    }).problems,
  ).toMatchObject([
    { key: "engineRepo", value: "./no-such.tar.gz", wrong: "it is no git URL, and there is no such file" },
  ]);
  expect(() => {
    requireEngineSource(undefined);
  }).not.toThrow();
});

test("a file that is no tar archive is refused before anything is built", () => {
  expect(problemsOf("package.json")).toMatchObject([
    { key: "engineRepo", value: "package.json", wrong: "the file is no tar archive" },
  ]);
});

test.each(["tar", "tar.gz", "tar.bz2", "tar.xz"])("a source tarball may be a .%s", (extension) => {
  const folder = mkdtempSync(join(tmpdir(), "bitnet-server-engine-"));
  try {
    const tarball = join(folder, `engine.${extension}`);
    execFileSync("tar", ["--create", "--auto-compress", "--file", tarball, "package.json"]);
    expect(() => {
      requireEngineSource(tarball);
    }).not.toThrow();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
