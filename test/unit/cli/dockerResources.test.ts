import Docker from "dockerode";
import { expect, test } from "vitest";
import { idOf, toDeployment } from "../../../cli/deployment.ts";
import { explainUnhealthy } from "../../../cli/unhealthyContainers.ts";
import { adviceOnAws, orphansOf } from "../../../cli/recovery.ts";
import type { DockerResource } from "../../../cli/dockerResources.ts";
import {
  describeResources,
  foreignContainers,
  dockerResourcesOf,
  removeResources,
} from "../../../cli/dockerResources.ts";
import { playEngine } from "./dockerEngine.ts";

const replies = {
  "GET /containers/json": [200, [{ Id: "c1", Names: ["/fleet-replica-0-abc"] }]],
  "GET /networks": [200, [{ Id: "n1", Name: "fleet-abc" }]],
  "GET /volumes": [200, { Volumes: [{ Name: "blobs-abc" }] }],
  "GET /images/json": [200, [{ Id: "sha256:1", RepoTags: ["bitnet-server:dev"] }]],
} as const;

const container: DockerResource = { kind: "container", id: "c1", name: "fleet-replica-0-abc" };
const network: DockerResource = { kind: "network", id: "n1", name: "fleet-abc" };

test("what is left of a stack is removed in an order that works: containers keep the rest", async () => {
  await using engine = await playEngine(replies);
  const left = await dockerResourcesOf("0123", engine.docker);
  expect(describeResources(left)).toBe(
    "container fleet-replica-0-abc, network fleet-abc, volume blobs-abc, image bitnet-server:dev",
  );
  // This engine answers every removal with 404: one that fails does not keep the others.
  await removeResources(left, engine.docker);
  expect(engine.requests.filter((request) => request.startsWith("DELETE"))).toEqual([
    "DELETE /containers/c1",
    "DELETE /networks/n1",
    "DELETE /volumes/blobs-abc",
    "DELETE /images/sha256:1",
  ]);
});

test("an image that a user's container was made from is in use, and no leftover; the container is named", async () => {
  const users = { Id: "u1", Names: ["/by-hand"], ImageID: "sha256:1", Labels: { "bitnet-server.image-of": "0123" } };
  const own = { Id: "c1", Names: ["/fleet"], ImageID: "sha256:1", Labels: { "bitnet-server.id": "0123" } };
  await using engine = await playEngine({ ...replies, "GET /containers/json": [200, [users, own]] });
  expect((await dockerResourcesOf("0123", engine.docker)).map(({ kind }) => kind)).not.toContain("image");
  expect(await foreignContainers("0123", engine.docker)).toEqual(["by-hand"]);
});

test("a stack that was never up has no id, and nothing on the engine", async () => {
  await using engine = await playEngine(replies);
  expect(idOf({ resources: [], pending_operations: [] })).toBeUndefined();
  expect(await dockerResourcesOf(undefined, engine.docker)).toEqual([]);
  expect(engine.requests).toEqual([]);
});

test("a stack's id is read from its state, which may have other random ids", () => {
  const random = "urn:pulumi:dev::bitnet-server::random:index/randomId:RandomId::";
  const state = toDeployment({
    resources: [
      { urn: "urn:pulumi:dev::bitnet-server::pulumi:pulumi:Stack::bitnet-server-dev" },
      { urn: `${random}bitnet-tag`, id: "a", outputs: { hex: "4567" } },
      { urn: `${random}stack-id`, id: "b", outputs: { hex: "0123" } },
    ],
  });
  expect(idOf(state)).toBe("0123");
});

test("only what the state does not know is stray, and no image is: the state has no images' ids", () => {
  const state = {
    resources: [
      { urn: "", id: "n1", outputs: {} },
      { urn: "", outputs: {} },
    ],
  };
  const image: DockerResource = { kind: "image", id: "sha256:1", name: "bitnet-server:dev" };
  expect(orphansOf(state, [container, network, image])).toEqual([container]);
});

test("of what AWS may have of a killed command, each is named, and the command that asks about them", () => {
  const resource = { urn: "urn:pulumi:prod::bitnet-server::aws:ec2/vpc:Vpc::network", type: "aws:ec2/vpc:Vpc" };
  const told = adviceOnAws("prod", [{ resource }]);
  expect(told).toContain(resource.urn);
  expect(told).toContain("npm run pulumi -- refresh --stack prod");
});

test("if Docker does not answer, containers have no last words, and the failure itself is told", async () => {
  expect(await explainUnhealthy("dev", "", new Docker({ socketPath: "/nowhere/docker.sock" }))).toEqual([]);
});

test("a container that the failure names already is not told of twice", async () => {
  const ended = { Id: "c1", Names: ["/fleet-replica-0-abc"], State: "exited", Status: "Exited (1)" };
  await using engine = await playEngine({
    "GET /containers/json": [200, [ended, { ...ended, Names: ["/registry-abc"] }]],
    "GET /containers/c1/logs": [200],
  });
  const told = await explainUnhealthy("dev", "replica fleet-replica-0-abc does not start", engine.docker);
  expect(told.map((paragraph) => paragraph.split(" ")[0])).toEqual(["registry-abc"]);
});
