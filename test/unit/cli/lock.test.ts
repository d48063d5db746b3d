import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, platform, tmpdir, uptime } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { removeLocks, staleLocks } from "../../../cli/lock.ts";

let state: string;
let locks: string;

const deadLocks = (stack: string) => staleLocks(stack, `file://${state}`).dead;

/** The id of a process that has ended. */
const gone = spawnSync(process.execPath, ["--version"]).pid;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "bitnet-server-lock-"));
  locks = join(state, ".pulumi/locks/organization/bitnet-server/dev");
  mkdirSync(locks, { recursive: true });
});

afterEach(() => {
  rmSync(state, { recursive: true });
});

/** Writes a lock as Pulumi 3.259 does, with what its file backend keeps beside it. */
function lock(name: string, content: object = {}): string {
  const file = join(locks, `${name}.json`);
  const usual = { pid: gone, username: "me", hostname: hostname(), timestamp: new Date().toISOString() };
  writeFileSync(file, JSON.stringify({ ...usual, ...content }));
  writeFileSync(`${file}.attrs`, JSON.stringify({ "user.content_type": "text/plain; charset=utf-8" }));
  return file;
}

test("a lock whose process has gone is dead, and is taken away alone", () => {
  const dead = lock("dead");
  const alive = lock("alive", { pid: process.pid });
  const found = deadLocks("dev");
  expect(found.map(({ pid, file }) => [pid, file])).toEqual([[gone, dead]]);
  removeLocks(found);
  expect([existsSync(dead), existsSync(`${dead}.attrs`)]).toEqual([false, false]);
  expect(existsSync(alive)).toBe(true);
});

test.runIf(platform() === "linux")("a process that was killed is gone even where nobody has reaped it", async () => {
  // The shell becomes a program that never asks about its child, before that ends.
  const shell = spawn("bash", ["-c", "sleep 0.5 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const [line] = (await once(createInterface(shell.stdout), "line")) as [string];
    const zombie = Number(line);
    await vi.waitUntil(() => readFileSync(`/proc/${zombie}/stat`, "utf8").includes(") Z "), { timeout: 5_000 });
    lock("zombie", { pid: zombie });
    expect(deadLocks("dev").map(({ pid }) => pid)).toEqual([zombie]);
  } finally {
    shell.kill();
  }
});

test("a lock of another machine is nobody's to judge", () => {
  lock("far", { hostname: `not-${hostname()}` });
  expect(deadLocks("dev")).toEqual([]);
});

test("a lock from before this machine was started is dead, whoever has the process's id now", () => {
  const before = new Date(Date.now() - (uptime() + 60) * 1000).toISOString();
  const old = lock("old", { pid: process.pid, timestamp: before });
  expect(deadLocks("dev").map(({ file }) => file)).toEqual([old]);
});

test("another stack's lock stays", () => {
  lock("mine");
  expect(deadLocks("prod")).toEqual([]);
  expect(deadLocks("dev")).toHaveLength(1);
});

test.each(["", '{"pid": 1', '{"pid": "me"}'])(
  "a lock that does not tell whose it is stays, and is named: %j",
  (text) => {
    const file = join(locks, "half.json");
    writeFileSync(file, text);
    expect(staleLocks("dev", `file://${state}`)).toEqual({ dead: [], unreadable: [file] });
  },
);

test.each(["s3://bucket", "https://api.pulumi.com"])(
  "of a backend that is not in files nothing is known: %s",
  (backend) => {
    expect(staleLocks("dev", backend)).toEqual({ dead: [], unreadable: [] });
  },
);
