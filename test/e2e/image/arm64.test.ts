import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { checkout, tools } from "../../../cli/paths.ts";
import { haproxyEnvironment } from "../../../components/serving/haproxy.ts";
import { baseImage } from "../../../offline/baseImage.ts";
import { dockerBuild } from "../support/build.ts";
import type { TestRegistry } from "../support/registry.ts";
import { startRegistry } from "../support/registry.ts";
import { drawModel } from "../support/testModel.ts";
import { sources } from "../support/testStack.ts";
import { noVirtualMachineBecause } from "../support/virtualMachine.ts";
import { buildImage } from "./build.ts";

// An image for another machine: built here, where none of its programs can run but in an emulator.
const platform = "linux/arm64";
const image = "bitnet-server-test-arm64";
const haproxyImage = "bitnet-server-test-arm64-haproxy";
const reason = process.arch === "x64" ? noVirtualMachineBecause() : "this machine is none of the other architecture";

describe("on x86, for an ARM machine", () => {
  let folder: string;
  let registry: TestRegistry;
  let base: string;
  /** The image's files. */
  let root: string;

  beforeEach(({ skip }) => {
    skip(reason !== undefined, reason);
  });

  beforeAll(async () => {
    if (reason !== undefined) return;
    folder = await mkdtemp(join(tools, "arm64-test-"));
    registry = await startRegistry();
    base = await baseOfTwoPlatforms(registry.host, folder);
    const { path } = await drawModel(folder);
    const args = { BASE_IMAGE: base, CPU_TARGET: "neoverse-n1" };
    const { succeeded, output } = await buildImage({ files: { model: path }, args, platform, tag: image });
    if (!succeeded) throw new Error(output);
    root = await unpack(image, join(folder, "root"));
  });

  afterAll(async () => {
    if (reason !== undefined) return;
    await execa("docker", ["rmi", image, haproxyImage], { reject: false });
    await registry.stop();
    await rm(folder, { recursive: true });
  });

  test("the engine is compiled for ARM, with the libraries that it needs, and the image is ARM's", async () => {
    const { stdout } = await execa("docker", ["image", "inspect", "--format={{.Os}}/{{.Architecture}}", image]);
    expect(stdout).toBe(platform);
    const machine = await execa("readelf", ["--file-header", join(root, "usr/local/bin/llama-server")]);
    expect(machine.stdout).toMatch(/Machine: +AArch64/);
    expect(await readFile(join(root, "opt/bitnet-server/instructions"), "utf8")).toContain("asimddp");
  });

  test("the engine, on the CPU that it was compiled for, answers the known questions", async () => {
    const server = join(folder, "llama-server");
    const emulator = `qemu-aarch64 -cpu neoverse-n1 -L ${root} -E LD_LIBRARY_PATH=/usr/local/lib`;
    await writeFile(server, `#!/bin/sh\nexec ${emulator} ${root}/usr/local/bin/llama-server "$@"\n`);
    await chmod(server, 0o755);
    const selfTest = [join(root, "opt/bitnet-server/self-test.sh"), server, join(root, "opt/bitnet-server/self-test")];
    const { all, exitCode } = await execa("bash", selfTest, {
      env: { ENGINE: "ik_llama.cpp" },
      all: true,
      reject: false,
    });
    expect(exitCode, all).toBe(0);
    expect(all).toMatch(/self-test: \d+ answers of ik_llama.cpp with up to 8 slots, all as they should be/);
  });

  test("what only the other machine can run is tested again there, before it serves", async () => {
    expect(await readFile(join(root, "opt/bitnet-server/self-test/pending"), "utf8")).toBe("");
  });

  test("the load balancer's image is ARM's too, and takes our configuration", async () => {
    const flags = ["--platform", platform, "--tag", haproxyImage];
    const built = await dockerBuild(join(checkout, "docker/load-balancer"), { BASE_IMAGE: base }, flags);
    expect(built.exitCode, built.all).toBe(0);
    const root = await unpack(haproxyImage, join(folder, "haproxy"));
    const configuration = join(root, "usr/local/etc/haproxy/haproxy.cfg");
    const haproxy = ["-L", root, join(root, "usr/sbin/haproxy"), "-c", "-f", configuration];
    const env = haproxyEnvironment({ parallel: 1 });
    const { all, exitCode } = await execa("qemu-aarch64", haproxy, { env, all: true, reject: false });
    expect(exitCode, all).toBe(0);
  });
});

/** An image's files, in a folder. */
async function unpack(name: string, folder: string): Promise<string> {
  await mkdir(folder);
  const { stdout: id } = await execa("docker", ["create", "--platform", platform, name]);
  await execa("docker", ["export", id], { buffer: false }).pipe("tar", ["-x", "-C", folder]);
  await execa("docker", ["rm", id]);
  return folder;
}

/** The name of a base image that there is for both platforms, as Docker Hub's are. */
async function baseOfTwoPlatforms(registry: string, folder: string): Promise<string> {
  const own = (await sources()).baseImage;
  if (own !== baseImage) return own;
  // Nothing of ARM's can be run here: its packages are unpacked, and not set up. The image needs no more than these.
  const packages = "base-files,bash,coreutils,findutils,grep,libc-bin,mawk,perl-base,procps,sed,util-linux";
  const files = join(folder, "base");
  await mkdir(files);
  const options = ["--architectures=arm64", "--variant=extract", "--components=main", `--include=${packages}`];
  await execa("mmdebstrap", [...options, "trixie", join(files, "base.tar")]);
  await writeFile(join(files, "Dockerfile"), "FROM scratch\nADD base.tar /\n");

  const base = `${registry}/base`;
  await execa("docker", ["tag", own, `${base}:amd64`]);
  const built = await dockerBuild(files, {}, ["--platform", platform, "--tag", `${base}:arm64`]);
  expect(built.exitCode, built.all).toBe(0);
  const both = ["amd64", "arm64"].map((architecture) => `${base}:${architecture}`);
  for (const name of both) await execa("docker", ["push", name]);
  await execa("docker", ["manifest", "create", "--insecure", `${base}:latest`, ...both]);
  await execa("docker", ["manifest", "push", "--insecure", "--purge", `${base}:latest`]);
  await execa("docker", ["rmi", ...both]);
  return `${base}:latest`;
}
