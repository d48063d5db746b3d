/**
 * Runs index.ts once against Pulumi's mocks, for a stack of so many replicas, and prints the CPU time and the
 * memory that took; a process of its own each time, so that nothing is warm.
 *
 *     node --experimental-test-module-mocks bench/growth/program.ts 64
 */
import * as pulumi from "@pulumi/pulumi";
import { rmSync } from "node:fs";
import { mock } from "node:test";
import * as machine from "../../components/docker/machine.ts";

const replicas = Number(process.argv[2]);
const project = "bitnet-server";
const stack = `bench-growth-${process.pid}`;

// A machine that is large enough.
mock.module(new URL("../../components/docker/machine.ts", import.meta.url).href, {
  namedExports: {
    ...machine,
    inspectMachine: () => ({
      cores: Array.from({ length: replicas }, (_, cpu) => [cpu]),
      cpuIdsKnown: true,
      memoryBytes: replicas * 2 ** 34,
      replicasBytes: 0,
      portsInUse: [],
      hasAddress: true,
    }),
  },
});

const settings = {
  modelUrl: "docker/server/self-test/model.gguf",
  engine: "ik_llama.cpp",
  replicas,
  memlock: "unlimited",
};

let resources = 0;
await pulumi.runtime.setMocks(
  {
    newResource: ({ name, inputs }) => {
      resources++;
      return { id: `${name}-id`, state: { ...(inputs as object), name, repoDigest: `${name}@sha256:0`, result: "" } };
    },
    call: () => ({}),
  },
  project,
  stack,
);
pulumi.runtime.setAllConfig(
  Object.fromEntries(Object.entries(settings).map(([key, value]) => [`${project}:${key}`, String(value)])),
);
try {
  const before = process.cpuUsage();
  await import("../../index.ts");
  await pulumi.runtime.disconnect();
  const { user, system } = process.cpuUsage(before);
  // maxRSS is in kilobytes.
  const megabytes = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ milliseconds: (user + system) / 1000, megabytes, resources }));
} finally {
  rmSync(`.build/${stack}`, { recursive: true, force: true });
}
process.exit();
