import { existsSync, globSync, readFileSync } from "node:fs";
import { execa } from "execa";
import { expect, test } from "vitest";
import { testPackages } from "../../cli/commands.ts";

/** What `npm test` makes ready by other means, or what the README asks for. */
const provided = ["docker", "pulumi", "python3"];

/** The names in execa("…"), spawn("…") and their like. */
function programsIn(text: string): string[] {
  const calls = text.matchAll(/\b(?:execa|execaSync|spawn|spawnSync|execFileSync|pipe)\(\s*"([\w.-]+)"/g);
  return [...calls].map(([, program = ""]) => program);
}

/** The Debian package that a program comes from, and whether every Debian has it. */
async function packageOf(program: string): Promise<{ name: string; always: boolean }> {
  const { stdout: found } = await execa("dpkg-query", ["--search", `*bin/${program}`]);
  const name = found.split(":", 1).join();
  const { stdout } = await execa("dpkg-query", ["--show", "--showformat=${Essential} ${Priority}", name]);
  return { name, always: /^yes | required$/.test(stdout) };
}

test.skipIf(!existsSync("/etc/debian_version"))(
  "what tests run is on every Debian, or npm test installs it: a green run here hides no missing package",
  async () => {
    const used = globSync("test/**/*.ts").flatMap((file) => programsIn(readFileSync(file, "utf8")));
    const programs = [...new Set(used)].filter((program) => !provided.includes(program) && program !== "dpkg-query");
    expect(programs).toContain("readelf");
    const packages = await Promise.all(programs.map(async (program) => ({ program, ...(await packageOf(program)) })));
    const missing = packages.filter(({ name, always }) => !always && !testPackages.includes(name));
    expect(missing).toEqual([]);
  },
);
