import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkout } from "../../../cli/paths.ts";
import { buildDigest } from "../../../components/image/imageTag.ts";
import { proxyArgs } from "../../../components/image/proxies.ts";

const build = { context: "0".repeat(64), args: { ENGINE: "bitnet.cpp", STACK: "prod" }, platform: "linux/amd64" };

test("equal builds have equal digests, in whatever order their arguments come", () => {
  expect(buildDigest({ ...build, args: { STACK: "prod", ENGINE: "bitnet.cpp" } })).toBe(buildDigest(build));
});

test.each([
  ["another context", { ...build, context: "1".repeat(64) }],
  ["another argument", { ...build, args: { ...build.args, ENGINE: "ik_llama.cpp" } }],
  ["another platform", { ...build, platform: "linux/arm64" }],
])("%s is another digest", (_, other) => {
  expect(buildDigest(other)).not.toBe(buildDigest(build));
});

test("the tag is in the image itself, so that its digest is a new one even where its content is an old one", () => {
  const dockerfile = readFileSync(join(checkout, "docker/server/Dockerfile"), "utf8");
  const lastStage = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
  expect(lastStage).toMatch(/^ARG TAG=$/m);
  expect(lastStage).toMatch(/^LABEL .*\bbitnet-server\.tag=\$TAG\b/m);
});

test("a build is told of the proxies in both forms, whichever this process was told of", () => {
  const environment = { HTTP_PROXY: "http://a:1", https_proxy: "http://b:2", NO_PROXY: "", PATH: "/bin" };
  expect(proxyArgs(environment)).toEqual({
    HTTP_PROXY: "http://a:1",
    http_proxy: "http://a:1",
    HTTPS_PROXY: "http://b:2",
    https_proxy: "http://b:2",
  });
});

test("hosts without a proxy are told of only where there is one, and this machine's own are not among them", () => {
  expect(proxyArgs({ NO_PROXY: "localhost,127.0.0.1,::1" })).toEqual({});
  expect(proxyArgs({ http_proxy: "http://a:1", no_proxy: ".example.com, localhost,127.0.0.1" })).toEqual({
    HTTP_PROXY: "http://a:1",
    http_proxy: "http://a:1",
    NO_PROXY: ".example.com",
    no_proxy: ".example.com",
  });
});
