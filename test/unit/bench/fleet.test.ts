import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { roundRobin, withoutRouting } from "../../../bench/fixtures/fleet.ts";

const real = readFileSync("docker/load-balancer/haproxy.cfg", "utf8");
const [before = "", rest = ""] = real.split(/^backend replicas$/m);
const after = rest.slice(rest.indexOf("\nbackend questions"));

/** As routing by conversation may look: the backend's own rules, whatever they are. */
const routing = `  stick-table type integer size 100k expire 1h
  stick store-request var(txn.now)
  http-request set-var(txn.now) req.body,json_query('$.messages'),xxh32
  use-server llama-1 if { var(txn.home) -m int 1 }
  hash-type consistent`;
const routed = real.replace(/^backend replicas$/m, (line) => `${line}\n${routing}`);

test("round robin counts no slots and takes turns, and is the real configuration otherwise", () => {
  const plain = roundRobin(routed);
  expect(plain).toContain("  balance roundrobin\n");
  expect(plain.startsWith(before)).toBe(true);
  expect(plain.endsWith(after)).toBe(true);
  expect(plain.slice(before.length, -after.length)).not.toMatch(/ maxconn |stick|use-server/);
  expect(plain.split("\n").length).toBe(withoutRouting(real).split("\n").length);
});

test("without routing, requests go where there are the fewest, and slots are still counted", () => {
  const plain = withoutRouting(routed);
  expect(plain).toBe(withoutRouting(real));
  expect(plain).toContain("  balance leastconn\n");
  expect(plain).toContain('default-server disabled maxconn "${PARALLEL}" ');
  expect(plain.slice(before.length, -after.length)).not.toMatch(/^ +(stick|use-server|hash-type|http-request)/m);
});
