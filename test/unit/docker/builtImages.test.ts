import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:http";
import { expect, test } from "vitest";
import { tagsInRegistry, tagsOnEngine } from "../../../components/docker/builtImages.ts";
import { playEngine } from "../cli/dockerEngine.ts";

test("the engine's images are known by their tags; one that has lost its tag is not there", async () => {
  const images = [{ RepoTags: ["bitnet-server-registry:0123", "mine:1"] }, { RepoTags: null }, { RepoTags: [] }];
  await using engine = await playEngine({ "GET /images/json": [200, images] });
  expect(await tagsOnEngine(engine.docker)).toEqual(new Set(["bitnet-server-registry:0123", "mine:1"]));
});

test.each([
  ["that has the image", 200, { name: "bitnet-server", tags: ["0123"] }, ["0123"]],
  ["whose volume was wiped", 404, { errors: [{ code: "NAME_UNKNOWN" }] }, []],
  ["whose tags were all deleted", 200, { name: "bitnet-server", tags: null }, []],
])("a registry %s says so, whatever is on the engine", async (_, status, body, expected) => {
  const asked: (string | undefined)[] = [];
  const server = createServer(({ url }, response) => {
    asked.push(url);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const repository = `127.0.0.1:${(server.address() as AddressInfo).port}/bitnet-server`;
  expect(await tagsInRegistry(repository, "0123", new Set([`${repository}:0123`]))).toEqual(new Set(expected));
  expect(asked).toEqual(["/v2/bitnet-server/tags/list"]);
  server.close();
});

test.each([
  ["what is on the engine is enough", [{ Name: "registry-blobs-abc" }], ["0123"]],
  ["and has lost its volume, nothing is left", [], []],
])("of a registry that does not run, %s", async (_, volumes, expected) => {
  await using engine = await playEngine({ "GET /volumes": [200, { Volumes: volumes }] });
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const repository = `127.0.0.1:${(server.address() as AddressInfo).port}/bitnet-server`;
  server.close();
  await once(server, "close");
  const onEngine = new Set([`${repository}:0123`, "127.0.0.1:1/bitnet-server:4567"]);
  expect(await tagsInRegistry(repository, "0123", onEngine, engine.docker)).toEqual(new Set(expected));
});
