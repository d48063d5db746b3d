import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkout } from "../../../cli/paths.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "bitnet-server-cpus-"));
});
afterEach(() => rm(root, { recursive: true }));

/** A machine, as /proc and /sys show it: which CPUs the process may use, and which hyperthreads share a core. */
async function machine(allowed: string, siblings: readonly string[], files: Readonly<Record<string, string>> = {}) {
  const topology = siblings.map((list, cpu) => [
    `sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`,
    list,
  ]);
  const status = `Name:\tbash\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\nMems_allowed_list:\t0\n`;
  for (const [name = "", content] of [["proc/self/status", status], ...topology, ...Object.entries(files)]) {
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${content}\n`);
  }
}

async function cpus(...args: string[]): Promise<string> {
  const { stdout } = await execa(join(checkout, "docker/server/runtime/cpus.sh"), args);
  return stdout;
}

const fourCores = ["0", "1", "2", "3"];
const fourCoresWithHyperthreads = ["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"];
const v1 = (folder: string, quota: number) => ({
  [`sys/fs/cgroup/${folder}/cpu.cfs_quota_us`]: String(quota),
  [`sys/fs/cgroup/${folder}/cpu.cfs_period_us`]: "100000",
});

describe("threads", () => {
  test.each([
    ["every core", "0-3", fourCores, {}, 4],
    ["physical cores, not hyperthreads", "0-7", fourCoresWithHyperthreads, {}, 4],
    ["a core once, though both of its hyperthreads are allowed", "0,4-5", fourCoresWithHyperthreads, {}, 2],
    ["no core that the container may not use", "1,3", fourCores, {}, 2],
    ["every CPU, where the machine does not show its cores", "0-2", [], {}, 3],
    ["no limit in cgroup v2", "0-3", fourCores, { "sys/fs/cgroup/cpu.max": "max 100000" }, 4],
    ["cgroup v2's quota, rounded down", "0-3", fourCores, { "sys/fs/cgroup/cpu.max": "250000 100000" }, 2],
    ["at least one", "0-3", fourCores, { "sys/fs/cgroup/cpu.max": "50000 100000" }, 1],
    ["cgroup v1's quota", "0-3", fourCores, v1("cpu", 300_000), 3],
    ["cgroup v1's quota, by its longer name", "0-3", fourCores, v1("cpu,cpuacct", 200_000), 2],
    ["no limit in cgroup v1", "0-3", fourCores, v1("cpu", -1), 4],
    ["no more than the cores, whatever the quota", "0-1", fourCores, v1("cpu", 800_000), 2],
  ])("%s", async (_, allowed, siblings, cgroup, expected) => {
    await machine(allowed, siblings, cgroup);
    expect(await cpus("cores", root)).toBe(String(expected));
  });
});

describe("instructions", () => {
  test.each([
    ["x86", "flags\t\t: fpu sse4_2 avx2 fma", "avx2 avx512f fma", "avx512f"],
    ["ARM", "Features\t: fp asimd asimddp", "asimddp i8mm sve", "i8mm sve"],
    ["a name that only begins alike", "flags\t\t: avx512f avx2x", "avx2", "avx2"],
    ["nothing that is missing", "flags\t\t: avx avx2", "avx2", ""],
  ])("%s", async (_, cpuinfo, needed, missing) => {
    await machine("0", ["0"], { "proc/cpuinfo": `processor\t: 0\n${cpuinfo}\nbogomips\t: 5000`, needed });
    expect(await cpus("missing", join(root, "needed"), root)).toBe(missing);
  });
});
