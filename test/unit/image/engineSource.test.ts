import { expect, test } from "vitest";
import { isGitUrl, requireEngineSource } from "../../../components/image/engineSource.ts";
import { userErrorOf } from "../../support/userError.ts";

test("a git URL is told from a path", () => {
  expect(["https://example.com/a.git", "git://127.0.0.1/a", "git@example.com:a/b.git"].every(isGitUrl)).toBe(true);
  expect(["engine.tar.gz", "./a/b.tar", "/a/b@c/d.tar"].some(isGitUrl)).toBe(false);
});

test("a source tarball that is not there is refused before anything is built", () => {
  expect(
    userErrorOf(() => {
      requireEngineSource("./no-such.tar.gz");
    }).problems,
  ).toMatchObject([
    { key: "engineRepo", value: "./no-such.tar.gz", wrong: "it is no git URL, and there is no such file" },
  ]);
  expect(() => {
    requireEngineSource("package.json");
  }).not.toThrow();
  expect(() => {
    requireEngineSource(undefined);
  }).not.toThrow();
});
