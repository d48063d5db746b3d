import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect, test } from "vitest";
import { isDebian } from "../../../cli/requirements/debian.ts";
import { canBuild } from "../../../cli/requirements/dockerClient.ts";
import { explain } from "../../../cli/requirements/dockerEngine.ts";
import { onPath } from "../../../cli/requirements/onPath.ts";

function refused(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`connect ${code} /var/run/docker.sock`), { code });
}

test.each([
  ["20.10.24", false, true],
  ["28.2.2", false, false],
  ["28.2.2", true, true],
])("docker %s, buildx %s: builds with BuildKit: %s", (version, hasBuildx, builds) => {
  expect(canBuild(version, hasBuildx)).toBe(builds);
});

test("Debian is known by os-release; its children, whose packages differ, are not taken for it", () => {
  expect(isDebian('PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n')).toBe(true);
  expect(isDebian("ID=ubuntu\nID_LIKE=debian\n")).toBe(false);
  expect(isDebian('ID=linuxmint\nID_LIKE="ubuntu debian"\n')).toBe(false);
  expect(isDebian("ID=fedora\nHOME_URL=https://debian.example\n")).toBe(false);
});

test("Docker without permission: the command that gives it", () => {
  const { wrong, right } = explain(refused("EACCES"), {}, "linux");
  expect(wrong).toContain("/var/run/docker.sock");
  expect(right).toMatch(/^sudo usermod -aG docker /);
});

test("Docker at a DOCKER_HOST that does not answer: the address is named", () => {
  const { wrong, right } = explain(refused("ECONNREFUSED"), { host: "tcp://10.0.0.1:2375" });
  expect(wrong).toContain("DOCKER_HOST=tcp://10.0.0.1:2375");
  expect(right).toContain("unset DOCKER_HOST");
});

test.each([
  ["desktop-linux", /^start Docker Desktop/],
  ["colima", /^colima start/],
  ["rootless", /^systemctl --user start docker/],
  ["mine", /^start it/],
])(
  "Docker of the context %s that is not running: how to start that one, and nothing of DOCKER_HOST",
  (context, how) => {
    const { wrong, right } = explain(refused("ENOENT"), { host: "unix:///home/me/docker.sock", context });
    expect(wrong).toMatch(new RegExp(`docker context ${context} .*unix:///home/me/docker.sock`));
    expect(right).toMatch(how);
    expect(wrong + right).not.toContain("DOCKER_HOST");
  },
);

test("Docker Desktop that is not running: how to open it", () => {
  expect(explain(refused("ENOENT"), {}, "darwin").right).toMatch(/^open -a Docker/);
});

test("programs are found in PATH's order, and only if they can be executed", () => {
  const [first, second] = [mkdtempSync(join(tmpdir(), "path-")), mkdtempSync(join(tmpdir(), "path-"))];
  for (const folder of [first, second]) {
    writeFileSync(join(folder, "tool"), "");
    writeFileSync(join(folder, "text"), "");
    chmodSync(join(folder, "tool"), 0o755);
  }
  const path = [first, "", second].join(delimiter);
  expect(onPath("tool", path)).toEqual([join(first, "tool"), join(second, "tool")]);
  expect(onPath("text", path)).toEqual([]);
  for (const folder of [first, second]) rmSync(folder, { recursive: true });
});
