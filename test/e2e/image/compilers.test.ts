import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { _InstanceType } from "@aws-sdk/client-ec2";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Architecture } from "../../../components/image/cpuTarget.ts";
import { cpuTargetOf } from "../../../components/image/cpuTarget.ts";
import { dockerBuild } from "../support/build.ts";

/** The compilers of docker/server/Dockerfile's toolchain, and gcc for ARM beside them; clang has it built in. */
const image = "bitnet-server-compilers:test";
const dockerfile = `ARG BASE_IMAGE
FROM $BASE_IMAGE
RUN apt-get update && apt-get install --yes --no-install-recommends clang gcc gcc-aarch64-linux-gnu \\
 && rm -rf /var/lib/apt/lists/*
`;

/** As docker/server/build/build-engine.sh calls them. */
const compilers: Readonly<Record<Architecture, readonly string[]>> = {
  x86_64: ["gcc -march=", "clang -march="],
  arm64: ["aarch64-linux-gnu-gcc -mcpu=", "clang --target=aarch64-linux-gnu -mcpu="],
};

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "bitnet-server-compilers-"));
  try {
    await writeFile(join(folder, "Dockerfile"), dockerfile);
    const built = await dockerBuild(folder, {}, ["--tag", image]);
    expect(built.exitCode, built.all).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** One container for all compilations: to start one takes longer than to compile. */
let container: string;

beforeAll(async () => {
  container = (await execa("docker", ["run", "--detach", "--init", image, "sleep", "infinity"])).stdout;
});

afterAll(async () => {
  await execa("docker", ["rm", "--force", container]);
  await execa("docker", ["rmi", image]);
});

/** What the CPUs of all instance types that AWS has are compiled for. */
const targets = (["x86_64", "arm64"] as const).flatMap((architecture) => {
  const names = Object.values(_InstanceType).map((type) => cpuTargetOf(type, architecture).name);
  return [...new Set(names)].map((name) => ({ architecture, name }));
});

test.each(targets)("both compilers know $architecture's $name, and it has what the kernels need", async (target) => {
  const { architecture, name } = target;
  const needed = architecture === "x86_64" ? ["__AVX2__", "__FMA__"] : ["__ARM_NEON", "__ARM_FEATURE_DOTPROD"];
  for (const compiler of compilers[architecture]) {
    const { exitCode, stderr } = await compile(`${compiler}${name}`, needed);
    expect(exitCode, `${compiler}${name}\n${stderr}`).toBe(0);
  }
});

test.each(["x86_64", "arm64"] as const)("a name that they do not know is an error on %s", async (architecture) => {
  for (const compiler of compilers[architecture])
    expect((await compile(`${compiler}no-such-cpu`, [])).exitCode).toBe(1);
});

/** Compiles a program that is in error where one of the macros is not defined. */
async function compile(command: string, needed: readonly string[]) {
  const checks = needed.map((macro) => `#ifndef ${macro}\n#error ${macro} is missing\n#endif\n`);
  const input = `${checks.join("")}int main(void) { return 0; }\n`;
  const compiler = [...command.split(" "), "-x", "c", "-c", "-o", "/dev/null", "-"];
  return execa("docker", ["exec", "--interactive", container, ...compiler], { input, reject: false });
}
