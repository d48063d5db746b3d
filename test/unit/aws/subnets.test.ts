import { BlockList } from "node:net";
import { expect, test } from "vitest";
import { layOutSubnets } from "../../../components/aws/subnets.ts";

test("each zone has a public and a private subnet of a sixteenth of the range", () => {
  expect(layOutSubnets("10.64.0.0/16", ["a", "b"])).toEqual([
    { zone: "a", publicCidr: "10.64.0.0/20", privateCidr: "10.64.128.0/20" },
    { zone: "b", publicCidr: "10.64.16.0/20", privateCidr: "10.64.144.0/20" },
  ]);
});

test("a zone more moves no subnet that is there", () => {
  const zones = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const all = layOutSubnets("192.168.4.0/24", zones);
  for (const count of [2, 3, 5])
    expect(layOutSubnets("192.168.4.0/24", zones.slice(0, count))).toEqual(all.slice(0, count));
});

test("no two subnets overlap, and all lie in the range", () => {
  const cidrs = layOutSubnets("172.16.0.0/18", ["a", "b", "c", "d", "e", "f", "g", "h"]).flatMap((zone) => [
    zone.publicCidr,
    zone.privateCidr,
  ]);
  expect(new Set(cidrs).size).toBe(16);
  const range = new BlockList();
  range.addSubnet("172.16.0.0", 18);
  for (const cidr of cidrs) {
    const [address = "", prefix] = cidr.split("/");
    expect([range.check(address), prefix]).toEqual([true, "22"]);
    const own = new BlockList();
    own.addSubnet(address, 22);
    expect(cidrs.filter((other) => own.check(other.split("/")[0] ?? ""))).toEqual([cidr]);
  }
});
