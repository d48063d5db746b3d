import { afterEach, expect, test, vi } from "vitest";
import { describeFindings, missing, note, ok } from "../../../cli/doctor/finding.ts";
import { diskFinding, dockerFindings, memlockFinding, networkFindings } from "../../../cli/doctor/machine.ts";
import { stackFindings } from "../../../cli/doctor/stack.ts";
import { probeNetwork } from "../../../cli/network.ts";
import { canInstallDebianPackages } from "../../../cli/requirements/debian.ts";
import { StackText } from "../../../cli/stackSettings.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

const closed = () => Promise.reject(Object.assign(new Error("fetch failed"), { cause: { code: "ENOTFOUND" } }));
const open = () => Promise.resolve(new Response());

test("what is missing is marked, with the line that gets it below, and counted", () => {
  const told = describeFindings([
    ok("Node", "v24"),
    note("Pulumi CLI", "is not installed", "npm run up"),
    missing({ key: "Docker Engine", wrong: "is not running", right: "sudo systemctl start docker" }),
  ]);
  expect(told).toMatch(/^✓ Node {8}v24$/m);
  expect(told).toMatch(/^· Pulumi CLI {2}is not installed\n {4}npm run up$/m);
  expect(told).toMatch(/^✗ Docker Engine {2}is not running\n {4}sudo systemctl start docker$/m);
  expect(told).toMatch(/^1 thing is missing/m);
  expect(describeFindings([ok("Node", "v24")])).toMatch(/^Nothing is missing/m);
});

test("a Docker Engine that does not answer is named, with what starts it", async () => {
  vi.stubEnv("DOCKER_HOST", "tcp://127.0.0.1:1");
  const [engine] = await dockerFindings(undefined, undefined);
  expect(engine).toMatchObject({ what: "Docker Engine" });
  expect(engine?.found).toContain("tcp://127.0.0.1:1");
  expect(engine?.state).toBe(canInstallDebianPackages() ? "note" : "missing");
});

test("a limit for locked memory that Docker may not raise is in the way only of memlock: unlimited", () => {
  expect(memlockFinding(false, undefined).state).toBe("ok");
  expect(memlockFinding(false, "inherit").state).toBe("ok");
  expect(memlockFinding(true, "unlimited").state).toBe("ok");
  expect(memlockFinding(false, "unlimited")).toMatchObject({ state: "missing", right: "memlock: inherit, or unset" });
});

test("a disk that is nearly full is told with what frees it", () => {
  expect(diskFinding(30e9).state).toBe("ok");
  expect(diskFinding(5e9)).toMatchObject({ state: "note" });
  expect(diskFinding(5e9).right).toContain("docker builder prune");
});

test("a site that cannot be reached is missing only if the stack needs it, with what takes its place", async () => {
  const network = await probeNetwork(closed);
  const states = (needed: Parameters<typeof networkFindings>[1]) =>
    networkFindings(network, needed).map(({ state }) => state);
  expect(states([])).toEqual(["ok"]);
  expect(networkFindings(network, ["Docker Hub"]).at(-1)).toMatchObject({ what: "baseImage", state: "missing" });
  expect(states(["Pulumi"])).toEqual(["ok"]);
  expect(networkFindings(await probeNetwork(open), ["GitHub"])).toMatchObject([{ state: "ok" }]);
});

const owner = { id: undefined, stack: "doctor" };
const text = (...lines: string[]) =>
  new StackText(["config:", ...lines.map((line) => `  bitnet-server:${line}`)].join("\n"));

test("a stack's mistakes are found by the program's own checks, secrets left out", async () => {
  const settings = text("target: aws", "modelUrl: /nowhere.gguf", "allowedCidr: x", "modelToken: { secure: v1:abc }");
  const findings = await stackFindings(settings, owner);
  expect(findings.map(({ what, state }) => [what, state])).toContainEqual(['modelUrl: "/nowhere.gguf"', "missing"]);
  expect(findings.find(({ what }) => what.startsWith("allowedCidr"))?.right).toContain("allowedCidrs");
  expect(findings.some(({ what }) => what.startsWith("modelToken"))).toBe(false);
});
