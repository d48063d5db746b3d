import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { haproxyConfiguration } from "../../../components/serving/haproxy.ts";
import { idleTimeout, keepAlive, userData, userDataLimit } from "../../../components/aws/userData.ts";
import { description } from "./description.ts";

const text = userData(description);

/** The files that the script writes, by path. */
function filesOf(script: string): Record<string, string> {
  const files = script.matchAll(/^cat >(\S+) <<'END_OF_FILE'\n([\s\S]*?)\nEND_OF_FILE$/gm);
  return Object.fromEntries([...files].map(([, path = "", content = ""]) => [path, content]));
}

const files = filesOf(text);
const file = (path: string) => files[path] ?? "";
const script = (name: string) => file(`/usr/local/libexec/bitnet-server/${name}`);
const unit = (name: string) => file(`/etc/systemd/system/bitnet-${name}.service`);

test("it fits into user data, for a stack name of 60 characters and with the longest arguments too", () => {
  expect(Buffer.byteLength(text)).toBeLessThan(userDataLimit);
  const server = { ...description.server, extraArgs: ["x".repeat(2000)] };
  expect(Buffer.byteLength(userData({ ...description, server }))).toBeLessThan(userDataLimit);
});

test("the server has no rights but to lock memory, writes nowhere but to memory, and is not root", () => {
  const command = script("server").replaceAll("\\\n", " ");
  expect(command).toMatch(/--user 65532:65532 --cap-drop ALL --read-only --security-opt no-new-privileges/);
  expect(command).toContain("--cap-add IPC_LOCK --ulimit memlock=-1:-1");
  expect(command.match(/--cap-add/g)).toHaveLength(1);
  expect(command).not.toMatch(/--privileged|--net(work)? host|--volume|--publish/);
});

test("images are named by digest", () => {
  expect(file("/etc/bitnet-server/settings")).toMatch(/^SERVER_IMAGE=\S+@sha256:0{64}$/m);
  expect(file("/etc/bitnet-server/settings")).toMatch(/^BALANCER_IMAGE=\S+@sha256:1{64}$/m);
});

test("API keys are fetched at every start into memory, and are in no command line and no container's options", () => {
  expect(script("prepare")).toContain(">/run/bitnet-server/keys");
  expect(script("prepare")).toContain("umask 077");
  expect(script("balancer")).toMatch(/ -c '.*' <\/run\/bitnet-server\/keys$/);
  expect(script("balancer").match(/--env\S* \S+/g)).toEqual(["--env HAPROXY_CONFIG"]);
  expect(text).not.toMatch(/--env API_KEY|API_KEY_\d=/);
});

test("a changed secret changes the user data", () => {
  expect(userData({ ...description, secretVersion: "another" })).not.toBe(text);
});

test("the balancer's configuration is the docker target's, with the server's address in place of DNS", () => {
  const replicas = { addresses: ["198.18.0.2:8080"] };
  expect(`${file("/etc/bitnet-server/haproxy.cfg")}\n`).toBe(
    haproxyConfiguration({ parallel: 2, replicas, apiKeys: 2, keepAlive: 620 }),
  );
  expect(script("server")).toContain("--ip 198.18.0.2 ");
});

test("HAProxy keeps an idle connection longer than the load balancer does, and that longer than a token may take", () => {
  expect(keepAlive).toBeGreaterThan(idleTimeout);
  expect(file("/etc/bitnet-server/haproxy.cfg")).toMatch(/^ {2}timeout http-keep-alive 620s$/m);
  expect(file("/etc/bitnet-server/haproxy.cfg")).toMatch(/^ {2}timeout server 600s$/m);
  expect(idleTimeout).toBe(610);
});

test("the statistics page and the server itself are reached from the instance only", () => {
  expect(script("balancer").match(/--publish \S+/g)).toEqual(["--publish 8080:8080", "--publish 127.0.0.1:8404:8404"]);
});

test("everything runs at every boot; only telling the group is done once", () => {
  for (const name of ["prepare", "server", "balancer", "ready", "metrics"]) {
    expect(unit(name)).toContain("WantedBy=multi-user.target");
    expect(text).toMatch(new RegExp(`systemctl enable .*bitnet-${name}\\.service`));
  }
  const once = ["prepare", "server", "balancer", "ready", "metrics"].filter((name) => unit(name).includes("Condition"));
  expect(once).toEqual(["ready"]);
});

test("a container that ends is started again, however often, and a full log stops nothing", () => {
  for (const name of ["server", "balancer"]) {
    expect(unit(name)).toMatch(/^Restart=always$/m);
    expect(unit(name)).toMatch(/^StartLimitIntervalSec=0$/m);
    expect(script(name)).toContain("--log-opt mode=non-blocking");
  }
});

test("on a stop the server finishes its requests before the balancer goes, and is given the time", () => {
  expect(unit("server")).toMatch(/^After=.*bitnet-balancer\.service$/m);
  expect(unit("server")).toMatch(/^ExecStop=\/usr\/bin\/docker stop --time 615 bitnet-server$/m);
  expect(unit("server")).toMatch(/^TimeoutStopSec=625$/m);
  expect(script("balancer")).toContain("--stop-signal SIGUSR1");
});

test("nothing that a user sets can become a command", () => {
  const extraArgs = ["it's", "END_OF_FILE", "$(touch /tmp/x)", "back\\slash"];
  const hostile = filesOf(userData({ ...description, server: { ...description.server, extraArgs } }));
  const command = hostile["/usr/local/libexec/bitnet-server/server"] ?? "";
  const argument = /^ {2}--env (\$'EXTRA_ARGS=.*') \\$/m.exec(command)?.[1] ?? "";
  expect(execFileSync("bash", ["-c", `printf %s ${argument}`], { encoding: "utf8" })).toBe(
    `EXTRA_ARGS=${extraArgs.join("\n")}`,
  );
});

test("every script and the whole are clean to shellcheck", () => {
  const folder = mkdtempSync(join(tmpdir(), "user-data-"));
  try {
    const scripts = Object.entries({ ...files, whole: text }).filter(([, content]) =>
      content.startsWith("#!/bin/bash"),
    );
    const paths = scripts.map(([path, content]) => {
      const written = join(folder, path.replaceAll("/", "_"));
      writeFileSync(written, content);
      return written;
    });
    expect(paths).toHaveLength(6);
    // SC2154: variables that systemd gives from the settings file.
    expect(execFileSync("shellcheck", ["--exclude", "SC2154", ...paths], { encoding: "utf8" })).toBe("");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("HAProxy takes its configuration", () => {
  const folder = mkdtempSync(join(tmpdir(), "haproxy-"));
  try {
    writeFileSync(join(folder, "haproxy.cfg"), `${file("/etc/bitnet-server/haproxy.cfg")}\n`);
    const env = { PATH: `${process.env.PATH ?? ""}:/usr/sbin`, API_KEY_0: "first-key", API_KEY_1: "second-key" };
    const checked = spawnSync("haproxy", ["-c", "-f", join(folder, "haproxy.cfg")], { env, encoding: "utf8" });
    expect([checked.status, checked.stderr]).toEqual([0, expect.not.stringContaining("ALERT")]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("systemd takes every unit", () => {
  const folder = mkdtempSync(join(tmpdir(), "units-"));
  try {
    const units = Object.entries(files).filter(([path]) => /systemd\/system\/[a-z-]+\.service$/.test(path));
    const paths = units.map(([path, content]) => {
      const written = join(folder, path.slice(path.lastIndexOf("/") + 1));
      // What only an instance has must not count: the commands, and Docker's own unit.
      writeFileSync(
        written,
        content.replaceAll(/^(Exec\w+=-?)\S+/gm, "$1/bin/true").replace("Requires=docker.service\n", ""),
      );
      return written;
    });
    expect(paths).toHaveLength(5);
    const verified = spawnSync("systemd-analyze", ["verify", ...paths], { encoding: "utf8" });
    // Other units of this machine are checked along the way; only ours are meant.
    expect(verified.stderr.split("\n").filter((line) => line.includes("bitnet-"))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a metrics line is what CloudWatch's embedded format asks for", () => {
  const folder = mkdtempSync(join(tmpdir(), "metrics-"));
  try {
    const fakes: Record<string, string> = {
      sleep: 'test ! -e "$0.done" && touch "$0.done"', // one round
      cat: "echo i-0123456789abcdef0",
      curl: `case $* in *8404*) printf '%s\\n' 'haproxy_server_current_sessions{proxy="replicas",server="llama-1"} 2' \\
        'haproxy_backend_current_queue{proxy="replicas"} 3' 'haproxy_backend_current_queue{proxy="other"} 9' ;;
        *) echo 'llamacpp:tokens_predicted_total 500' ;; esac`,
      aws: `case $* in *put-log-events*) printf '%s' "\${@: -1}" > ${folder}/sent ;; esac`,
    };
    for (const [name, body] of Object.entries(fakes)) {
      writeFileSync(join(folder, name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
    }
    const environment = {
      PATH: `${folder}:${process.env.PATH ?? ""}`,
      GROUP: "g",
      LOG_GROUP: "l",
      NAMESPACE: "N",
      SLOTS: "2",
    };
    try {
      execFileSync("bash", ["-c", script("metrics")], { env: environment, stdio: "pipe" });
    } catch (error) {
      expect(error).toMatchObject({ status: 1 }); // the second sleep ends it
    }
    const [event] = JSON.parse(execFileSync("/bin/cat", [join(folder, "sent")], { encoding: "utf8" })) as {
      timestamp: number;
      message: string;
    }[];
    expect(JSON.parse(event?.message ?? "")).toMatchObject({
      _aws: {
        Timestamp: event?.timestamp,
        CloudWatchMetrics: [{ Namespace: "N", Dimensions: [["AutoScalingGroupName"]] }],
      },
      AutoScalingGroupName: "g",
      InstanceId: "i-0123456789abcdef0",
      Load: 250,
      BusySlots: 2,
      WaitingRequests: 3,
      TokensPerSecond: 0,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
