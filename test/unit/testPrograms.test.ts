import { existsSync, globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { testPackages } from "../../cli/commands/tools.ts";

/** What `npm test` makes ready by other means, or what the README asks for. */
const provided = ["docker", "node", "npm", "pulumi", "python3"];

/** The names in execa("…"), spawn("…") and their like. */
function programsIn(text: string): string[] {
  const calls = text.matchAll(/\b(?:execa|execaSync|spawn|spawnSync|execFileSync|pipe)\(\s*"([\w.-]+)"/g);
  return [...calls].map(([, program = ""]) => program);
}

/** The Debian packages that these programs come from, without those that every Debian has. */
async function optionalPackagesOf(programs: readonly string[]): Promise<string[]> {
  const paths = programs.flatMap((program) =>
    ["/bin", "/sbin", "/usr/bin", "/usr/sbin"].map((at) => `${at}/${program}`),
  );
  const { stdout: found } = await execa("dpkg-query", ["--search", ...paths], { reject: false });
  // dpkg also names who has put another file in a program's place: "diversion by dash from: /bin/sh".
  const lines = found
    .split("\n")
    .filter((line) => !line.startsWith("diversion ") && paths.some((path) => line.endsWith(`: ${path}`)));
  expect(new Set(lines.map((line) => basename(line)))).toEqual(new Set(programs));
  const names = [...new Set(lines.map((line) => line.split(":", 1).join()))];
  const format = "--showformat=${Package} ${Essential} ${Priority}\n";
  const { stdout: packages } = await execa("dpkg-query", ["--show", format, ...names]);
  const optional = packages.split("\n").filter((line) => !/ yes | required$/.test(line));
  return optional.map((line) => line.split(" ", 1).join());
}

test.skipIf(!existsSync("/etc/debian_version"))(
  "what tests run is on every Debian, or npm test installs it: a green run here hides no missing package",
  async () => {
    const used = globSync("test/**/*.ts").flatMap((file) => programsIn(readFileSync(file, "utf8")));
    const programs = [...new Set(used)].filter((program) => !provided.includes(program));
    const packages = await optionalPackagesOf(programs);
    expect(packages).toContain("openssl");
    expect(packages.filter((name) => !testPackages.includes(name))).toEqual([]);
  },
);
