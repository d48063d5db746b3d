// The first command of a fresh clone (`npm run up`, `npm test`): plain JavaScript for any Node from 18 on, no packages.
// It installs the project's packages when they are missing or out of date, then hands over to the project's own Node.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { proxyVariables } from "./proxy.mjs";

// Read before anything takes time. It is npm itself, because package.json's scripts begin with `exec`.
const parent = process.ppid;
const checkout = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(checkout, "node_modules", ".bin", "node");
// npm writes this file at the end of every installation.
const installed = join(checkout, "node_modules", ".package-lock.json");
const modified = (file) => (existsSync(file) ? statSync(file).mtimeMs : -1);

if (!existsSync(node) || modified(installed) < modified(join(checkout, "npm-shrinkwrap.json"))) {
  console.error("installing the project's packages (npm ci) …");
  // With NODE_ENV=production npm would leave out what offline/ and the tests need.
  const npm = spawnSync("npm", ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: checkout,
    stdio: ["ignore", 2, 2],
  });
  if (npm.status !== 0) {
    console.error(npm.error ? `npm ci: ${npm.error.message}` : "npm ci failed; its message is above.");
    process.exit(1);
  }
}

// The child gets a process group of its own, and each signal once. A terminal's Ctrl-C goes to npm, to this process and to
// all their children, some of it twice, and to Pulumi a second one means "stop at once, leave things half done".
// The channel closes if this process is killed, and the child then ends, too.
const child = spawn(node, [join(checkout, "cli", "main.ts"), ...process.argv.slice(2)], {
  stdio: ["inherit", "inherit", "inherit", "ipc"],
  detached: true,
  env: { ...process.env, ...proxyVariables(process.env) },
});
let last = 0;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (Date.now() - last > 1000) child.kill(signal);
    last = Date.now();
  });
}
// If npm alone is killed, this process just gets another parent, and nobody waits for it any more. Started by hand, it may
// outlive its parent, as a daemon does.
const orphaned = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(orphaned);
  child.disconnect();
}, 500);
if (process.env.npm_lifecycle_event === undefined) clearInterval(orphaned);
child.on("error", (error) => {
  console.error(`cannot start ${node}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  endGroup(child.pid);
  if (!signal) process.exit(code ?? 1);
  // The child was killed, and nobody waits for what Pulumi is doing. A second signal stops it at once.
  setTimeout(() => {
    endGroup(child.pid);
    process.exit(130);
  }, 1000);
});

/** Ends what a killed command has left running, such as a Pulumi CLI that would hold the terminal and the lock. */
function endGroup(leader) {
  try {
    process.kill(-leader, "SIGTERM");
  } catch {
    // Nobody is left, as it should be.
  }
}
