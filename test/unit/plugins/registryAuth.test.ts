import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { parseReference, storedAuth } from "../../../offline/plugins/docker/registryAuth.ts";

test.for([
  ["debian", { repository: "debian" }],
  ["debian:trixie", { repository: "debian", tag: "trixie" }],
  ["library/debian", { repository: "library/debian" }],
  ["localhost/a", { registry: "localhost", repository: "localhost/a" }],
  ["127.0.0.1:5000/a/b:c", { registry: "127.0.0.1:5000", repository: "127.0.0.1:5000/a/b", tag: "c" }],
  ["ghcr.io/a@sha256:0123", { registry: "ghcr.io", repository: "ghcr.io/a" }],
] as const)("%s is taken apart as Docker does", ([image, parts]) => {
  expect(parseReference(image)).toEqual(parts);
});

test("the credentials of a `docker login` are found by the registry's host", async () => {
  const folder = await mkdtemp(join(tmpdir(), "docker-config-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const auth = Buffer.from("me:a:b").toString("base64");
  await writeFile(join(folder, "config.json"), JSON.stringify({ auths: { "https://registry.example/v2/": { auth } } }));
  vi.stubEnv("DOCKER_CONFIG", folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(await storedAuth("registry.example")).toEqual({
    username: "me",
    password: "a:b",
    serveraddress: "registry.example",
  });
  expect(await storedAuth("other.example")).toBeUndefined();
});
