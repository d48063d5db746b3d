import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

test("it fits into user data, for a stack name of 60 characters and with as many keys as there can be", () => {
  expect(Buffer.byteLength(userData({ ...description, apiKeys: 50 }))).toBeLessThan(userDataLimit);
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
  const whole = haproxyConfiguration({ parallel: 2, replicas, apiKeys: 2, keepAlive: 620 });
  const lines = whole.split("\n").filter((line) => !line.trimStart().startsWith("#"));
  expect(`${file("/etc/bitnet-server/haproxy.cfg")}\n`).toBe(lines.join("\n"));
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

test.each([2, 50])("HAProxy takes its configuration, with %i keys", (apiKeys) => {
  const folder = mkdtempSync(join(tmpdir(), "haproxy-"));
  try {
    const configuration = filesOf(userData({ ...description, apiKeys }))["/etc/bitnet-server/haproxy.cfg"] ?? "";
    writeFileSync(join(folder, "haproxy.cfg"), `${configuration}\n`);
    const keys = Array.from({ length: apiKeys }, (_, index) => [`API_KEY_${index}`, `key-number-${index}`]);
    const env = { PATH: `${process.env.PATH ?? ""}:/usr/sbin`, ...Object.fromEntries(keys) } as NodeJS.ProcessEnv;
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

/**
 * Runs one of the scripts among stand-ins for the commands that it calls, which may keep what they need in the folder.
 * @returns its exit status, what it printed, and what each file of the folder has
 */
function play(name: string, commands: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  try {
    const all = { cat: "echo i-0123456789abcdef0", mkdir: "", touch: "", ...commands };
    for (const [command, body] of Object.entries(all)) {
      writeFileSync(join(folder, command), `#!/bin/bash\ncd ${folder}\n${body}\n`, { mode: 0o755 });
    }
    const environment = { GROUP: "g", HOOK: "h", LOG_GROUP: "l", NAMESPACE: "N", SLOTS: "2" };
    const env = { PATH: `${folder}:${process.env.PATH ?? ""}`, ...environment };
    // A second or two; on a machine that compiles something beside it, 20 were not enough.
    const { status, stdout } = spawnSync("bash", ["-c", script(name)], { env, encoding: "utf8", timeout: 55_000 });
    const read = (kept: string) => (existsSync(join(folder, kept)) ? readFileSync(join(folder, kept), "utf8") : "");
    return { status, stdout, log: read("log"), sent: read("sent") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The group is told how it went; who was asked before is in the log. */
const toldGroup = `printf '%s\\n' "told \${@: -1}" >>log`;

test("the group is told only once the server itself answers, though HAProxy takes it to be there from the beginning", () => {
  const { status, log } = play("ready", {
    aws: toldGroup,
    sleep: "echo sleep >>log",
    systemctl: "echo 0",
    // The server after three tries.
    curl: `case $* in *198.18.0.2:8080/health*) test $(grep -c sleep log) -ge 3 2>/dev/null ;; *127.0.0.1:8080/health*) ;;
      *) exit 2 ;; esac`,
  });
  expect([status, log.split("\n")]).toEqual([0, ["sleep", "sleep", "sleep", "told CONTINUE", ""]]);
});

test("nor is it told before HAProxy answers", () => {
  const { log } = play("ready", {
    aws: toldGroup,
    sleep: "echo sleep >>log",
    systemctl: "echo 0",
    curl: "case $* in *127.0.0.1:8080/health*) test $(grep -c sleep log) -ge 2 2>/dev/null ;; esac",
  });
  expect(log.split("\n")).toEqual(["sleep", "sleep", "told CONTINUE", ""]);
});

test.each([
  ["ends again and again", "grep -c sleep log || true", "1", 3, "3 times, at last with status 1"],
  ["finds a CPU that it cannot run on", "echo 0", "78", 0, "0 times, at last with status 78"],
])("a server that %s is given up at once, and the console says why", (_, restarts, ended, sleeps, words) => {
  const { status, stdout, log } = play("ready", {
    aws: toldGroup,
    sleep: "echo sleep >>log",
    systemctl: `: >>log; case $* in *NRestarts*) ${restarts} ;; *ExecMainStatus*) echo ${ended} ;; esac`,
    curl: "exit 22",
  });
  const slept = Array.from({ length: sleeps }, () => "sleep");
  expect([status, log.split("\n")]).toEqual([0, [...slept, "told ABANDON", ""]]);
  expect(stdout).toContain(`this instance is given up: the server ended ${words}`);
});

/** A minute of metrics: HAProxy's busy slots and waiting requests by look, and whether the server answers. */
function minute(busy: string, waiting: string, server: string) {
  const { status, sent } = play("metrics", {
    // Once a line was sent, the next sleep ends it.
    sleep: "test ! -e sent && echo >>looks",
    curl: `case $* in *127.0.0.1:8404*) look=$(wc -l <looks)
      printf '%s\n' 'haproxy_server_current_sessions{proxy="replicas",server="llama-1"} '$((${busy})) \
        'haproxy_backend_current_queue{proxy="replicas"} '$((${waiting})) 'haproxy_backend_current_queue{proxy="other"} 9' ;;
      *198.18.0.2:8080*) ${server} ;; esac`,
    aws: `case $* in *put-log-events*) printf '%s' "\${@: -1}" >sent ;; esac`,
  });
  expect(status).toBe(1);
  const [event] = JSON.parse(sent) as { timestamp: number; message: string }[];
  return { timestamp: event?.timestamp, line: JSON.parse(event?.message ?? "") as Record<string, unknown> };
}

test("a metrics line is what CloudWatch's embedded format asks for", () => {
  const { timestamp, line } = minute("2", "3", "echo llamacpp:tokens_predicted_total 500");
  const metric = (Name: string, Unit: string) => ({ Name, Unit });
  expect(line).toEqual({
    _aws: {
      Timestamp: timestamp,
      CloudWatchMetrics: [
        {
          Namespace: "N",
          Dimensions: [["AutoScalingGroupName"]],
          Metrics: [metric("Load", "Percent"), metric("BusySlots", "Count"), metric("WaitingRequests", "Count")],
        },
      ],
    },
    AutoScalingGroupName: "g",
    InstanceId: "i-0123456789abcdef0",
    Load: 250,
    BusySlots: 2,
    WaitingRequests: 3,
  });
});

test("load is a minute's average: a slot that is busy for a third of it counts as a third", () => {
  const { line } = minute("look <= 10 ? 2 : 0", "look <= 3", "exit 7");
  expect(line).toMatchObject({ Load: 38.33, BusySlots: 0.67, WaitingRequests: 0.1 });
});

test("load is told when the server has no word for it, too: that is when it matters most", () => {
  const { line } = minute("2", "40", "exit 28");
  expect(line).toMatchObject({ Load: 2100, BusySlots: 2, WaitingRequests: 40 });
  expect(line).not.toHaveProperty("TokensPerSecond");
});

test("tokens per second are told from the second line on, except where the server began anew meanwhile", () => {
  const { sent } = play("metrics", {
    sleep: "test $(lines) -lt 4",
    // A line a minute.
    date: "echo $((60000 * $(lines)))",
    lines: "test ! -e sent && echo 0 || grep -c . sent",
    curl: `case $* in *198.18.0.2:8080*) counts=(500 1100 100 100); echo "llamacpp:tokens_predicted_total \${counts[$(lines)]}" ;; esac`,
    aws: `case $* in *put-log-events*) printf '%s\\n' "\${@: -1}" >>sent ;; esac`,
  });
  const told = sent.trimEnd().split("\n");
  expect(told.map((line) => /TokensPerSecond\\":([\d.-]+)/.exec(line)?.[1])).toEqual([
    undefined,
    "10.00",
    undefined,
    "0.00",
  ]);
});
