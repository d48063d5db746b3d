import Docker from "dockerode";
import { expect, test } from "vitest";
import { containerTrouble } from "../../../cli/containerTrouble.ts";
import { adviceOnAws, strayOf } from "../../../cli/interrupted.ts";
import type { Leftover } from "../../../cli/leftovers.ts";
import { describeLeftovers, leftovers, removeLeftovers } from "../../../cli/leftovers.ts";
import { playEngine } from "./dockerEngine.ts";

const replies = {
  "GET /containers/json": [200, [{ Id: "c1", Names: ["/fleet-replica-0-abc"] }]],
  "GET /networks": [200, [{ Id: "n1", Name: "fleet-abc" }]],
  "GET /volumes": [200, { Volumes: [{ Name: "blobs-abc" }] }],
  "GET /images/json": [200, [{ Id: "sha256:1", RepoTags: ["bitnet-server:dev"] }]],
} as const;

const container: Leftover = { kind: "container", id: "c1", name: "fleet-replica-0-abc" };
const network: Leftover = { kind: "network", id: "n1", name: "fleet-abc" };

test("what is left of a stack is removed in an order that works: containers keep the rest", async () => {
  await using engine = await playEngine(replies);
  const left = await leftovers("dev", engine.docker);
  expect(describeLeftovers(left)).toBe(
    "container fleet-replica-0-abc, network fleet-abc, volume blobs-abc, image bitnet-server:dev",
  );
  // This engine answers every removal with 404: one that fails does not keep the others.
  await removeLeftovers(left, engine.docker);
  expect(engine.requests.filter((request) => request.startsWith("DELETE"))).toEqual([
    "DELETE /containers/c1",
    "DELETE /networks/n1",
    "DELETE /volumes/blobs-abc",
    "DELETE /images/sha256:1",
  ]);
});

test("only what the state does not know is stray, and no image is: the state has no images' ids", () => {
  const state = { resources: [{ id: "n1" }, {}], pending_operations: [] };
  const image: Leftover = { kind: "image", id: "sha256:1", name: "bitnet-server:dev" };
  expect(strayOf(state, [container, network, image])).toEqual([container]);
});

test("of what AWS may have of a killed command, each is named, and the command that asks about them", () => {
  const resource = { urn: "urn:pulumi:prod::bitnet-server::aws:ec2/vpc:Vpc::network", type: "aws:ec2/vpc:Vpc" };
  const told = adviceOnAws("prod", [{ resource }]);
  expect(told).toContain(resource.urn);
  expect(told).toContain("npm run pulumi -- refresh --stack prod");
});

test("if Docker does not answer, containers have no last words, and the failure itself is told", async () => {
  expect(await containerTrouble("dev", "", new Docker({ socketPath: "/nowhere/docker.sock" }))).toEqual([]);
});

test("a container that the failure names already is not told of twice", async () => {
  const ended = { Id: "c1", Names: ["/fleet-replica-0-abc"], State: "exited", Status: "Exited (1)" };
  await using engine = await playEngine({
    "GET /containers/json": [200, [ended, { ...ended, Names: ["/registry-abc"] }]],
    "GET /containers/c1/logs": [200],
  });
  const told = await containerTrouble("dev", "replica fleet-replica-0-abc does not start", engine.docker);
  expect(told.map((paragraph) => paragraph.split(" ")[0])).toEqual(["registry-abc"]);
});
