/** With AWS's names. */
export type Architecture = "x86_64" | "arm64";

export interface CpuTarget {
  /** The compiler's -march (x86_64) or -mcpu (arm64). */
  name: string;
  /** Whether the family is in the table. Otherwise `name` is what every suitable CPU of the architecture can run. */
  known: boolean;
}

/**
 * The minimum for the engines' kernels for ternary weights: AVX2, or NEON with dot products. The same as `baseline` in
 * docker/server/build/build-engine.sh.
 */
const baselines: Readonly<Record<Architecture, string>> = { x86_64: "x86-64-v3", arm64: "neoverse-n1" };

/**
 * The CPUs of EC2's instance families, from aws.amazon.com/ec2/instance-types, under their names in gcc 14 and clang 19
 * (Debian 13's). A family with several CPUs is listed with the oldest: c5, m5, r5 are Skylake or Cascade Lake.
 */
const families: Readonly<Record<Architecture, Readonly<Record<string, readonly string[]>>>> = {
  x86_64: {
    "skylake-avx512": ["c5", "c5d", "c5n", "m5", "m5d", "m5n", "r5", "r5d", "r5n"],
    znver2: ["c5a", "c5ad"],
    "icelake-server": ["c6i", "c6id", "c6in", "m6i", "m6id", "m6in", "r6i", "r6id", "r6in"],
    znver3: ["c6a", "m6a", "r6a"],
    sapphirerapids: ["c7i", "c7i-flex", "m7i", "m7i-flex", "r7i"],
    znver4: ["c7a", "m7a", "r7a"],
    graniterapids: ["c8i", "c8i-flex", "m8i", "m8i-flex", "r8i", "r8i-flex"],
    znver5: ["c8a", "m8a", "r8a"],
  },
  arm64: {
    "neoverse-n1": ["c6g", "c6gd", "c6gn", "m6g", "m6gd", "r6g", "r6gd"],
    "neoverse-v1": ["c7g", "c7gd", "c7gn", "m7g", "m7gd", "r7g", "r7gd"],
    "neoverse-v2": ["c8g", "c8gd", "c8gn", "m8g", "m8gd", "r8g", "r8gd"],
  },
};

/** `c7a` of `c7a.2xlarge`. */
export function familyOf(instanceType: string): string {
  return instanceType.split(".", 1)[0] ?? "";
}

/** The compilation target with which an instance of this type runs as fast as possible. */
export function cpuTargetOf(instanceType: string, architecture: Architecture): CpuTarget {
  const family = familyOf(instanceType);
  const found = Object.entries(families[architecture]).find(([, members]) => members.includes(family));
  return found === undefined ? { name: baselines[architecture], known: false } : { name: found[0], known: true };
}

/** Whether the instance's CPU has AVX-512 VNNI, and the target says so to the compiler. */
export function hasAvx512Vnni(instanceType: string): boolean {
  return /^(znver[45]|icelake-server|.*rapids)$/.test(cpuTargetOf(instanceType, "x86_64").name);
}

/** Instance types of the same size that run the same code. The given one comes first. */
export function sameInstructions(instanceType: string, architecture: Architecture): string[] {
  const family = familyOf(instanceType);
  const size = instanceType.slice(family.length);
  const siblings = Object.values(families[architecture]).find((members) => members.includes(family)) ?? [];
  // Flex families provide the full CPU only some of the time.
  const others = siblings.filter((member) => member !== family && !member.endsWith("-flex"));
  return [instanceType, ...others.map((member) => member + size)];
}

/** The architecture that a CPU's name belongs to; undefined if the name does not tell. */
export function architectureOf(cpu: string): Architecture | undefined {
  if (/^(neoverse|cortex|ampere|armv[89])/.test(cpu)) return "arm64";
  if (/^(x86-64|znver|.*lake|.*rapids|haswell|broadwell)/.test(cpu)) return "x86_64";
  return undefined;
}

/** Docker's name for it. */
export function platformOf(architecture: Architecture): "linux/amd64" | "linux/arm64" {
  return architecture === "arm64" ? "linux/arm64" : "linux/amd64";
}
