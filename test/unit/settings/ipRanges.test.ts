import { expect, test } from "vitest";
import { isLoopback, isVpcCidr, networkOf } from "../../../components/settings/ipRanges.ts";

test.each([
  ["10.64.0.0/16", true],
  ["192.168.1.0/24", true],
  ["10.64.0.1/16", false],
  ["10.64.0.0/15", false],
  ["10.64.0.0/25", false],
  ["8.8.0.0/16", false],
  ["172.32.0.0/16", false],
  ["10.300.0.0/16", false],
  ["10.64.0.0", false],
  ["banana", false],
])("%s can be a VPC's range: %s", (cidr, can) => {
  expect(isVpcCidr(cidr)).toBe(can);
});

test.each([
  ["203.0.113.0/24", "203.0.113.0/24"],
  ["203.0.113.5/24", "203.0.113.0/24"],
  ["203.0.113.5/32", "203.0.113.5/32"],
  ["255.255.255.255/1", "128.0.0.0/1"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["10.0.0.1/0", "0.0.0.0/0"],
  ["::/0", "::/0"],
  ["2001:db8::/32", "2001:db8::/32"],
  ["2001:DB8:0:0::/32", "2001:DB8:0:0::/32"],
  ["2001:db8:1:2::3/48", "2001:db8:1::/48"],
  ["2001:db8::1/128", "2001:db8::1/128"],
])("%s is in the range %s", (cidr, network) => {
  expect(networkOf(cidr)).toBe(network);
});

test("loopback is every address that only this machine reaches", () => {
  expect(["127.0.0.1", "127.1.2.3", "::1"].every(isLoopback)).toBe(true);
  expect(["0.0.0.0", "::", "192.0.2.1"].some(isLoopback)).toBe(false);
});
