import { expect, test } from "vitest";
import { offNetwork } from "../../../components/docker/networkDrift.ts";
import { playEngine } from "../cli/dockerEngine.ts";

const [ours, between, outside] = [
  { NetworkID: "inside", Aliases: ["llama", "0123456789ab"] },
  { NetworkID: "between", Aliases: ["haproxy"] },
  { NetworkID: "outside", Aliases: null },
];
const foreign = { NetworkID: "monitoring", Aliases: ["llama"] };

test.each<[string, string, Record<string, object>, boolean]>([
  ["a replica on its network", "replica", { ours }, false],
  ["one that somebody put on another one as well", "replica", { ours, foreign }, false],
  ["one that is on another one only", "replica", { foreign }, true],
  ["one that is on none", "replica", {}, true],
  ["one that came back without its alias", "replica", { ours: { ...ours, Aliases: ["0123456789ab"] } }, true],
  ["a gateway", "gateway", { between: { ...between, Aliases: ["gateway-1"] } }, false],
  ["a load balancer on all three", "load-balancer", { ours, between, outside }, false],
  ["a load balancer on two of them", "load-balancer", { between, outside }, true],
  ["the registry, which is on none", "registry", {}, false],
])("%s", async (_, role, Networks, isOff) => {
  const container = {
    Name: "/it-abcdef0",
    Config: { Labels: { "bitnet-server.role": role } },
    NetworkSettings: { Networks },
  };
  await using engine = await playEngine({
    "GET /containers/json": [200, [{ Id: "1" }, { Id: "gone" }]],
    "GET /networks": [200, [{ Id: "inside" }, { Id: "between" }, { Id: "outside" }]],
    "GET /containers/1/json": [200, container],
    "GET /containers/gone/json": [404, { message: "No such container: gone" }],
  });
  expect(await offNetwork("0123", engine.docker)).toEqual(isOff ? ["it-abcdef0"] : []);
});

test("a new stack has no containers to look at", async () => {
  await using engine = await playEngine({});
  expect(await offNetwork(undefined, engine.docker)).toEqual([]);
});
