import { haproxyConfiguration } from "../serving/haproxy.ts";
import type { ServerOptions } from "../serving/server.ts";
import { serverEnvironment, serverPort } from "../serving/server.ts";
import { drainTimeout, replicaGrace } from "../serving/timeouts.ts";

/** All that an instance has to know. No secret is among it: user data can be read by whoever may look at the account. */
export interface InstanceDescription {
  region: string;
  /** The registry's host, which the ECR credential helper logs in to. */
  registry: string;
  /** The two images, by digest. */
  serverImage: string;
  balancerImage: string;
  server: ServerOptions;
  /** How many API keys the secret holds, as lines API_KEY_0=…, API_KEY_1=… */
  apiKeys: number;
  secretArn: string;
  /** A version, so that a changed key changes the user data, and with it the fleet. */
  secretVersion: string;
  /** The Auto Scaling group and its launch hook. */
  group: string;
  hook: string;
  logGroup: string;
  metricNamespace: string;
}

/** The name of the hook by which an instance says that it is ready. */
export const hookName = "launch";

/** AWS's limit, before base64: docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html. */
export const userDataLimit = 16_384;

/**
 * The containers' network, which only this instance knows. A range for benchmarks (RFC 2544), because no VPC has one
 * of those. The server has an address of its own there, so that HAProxy needs no DNS.
 */
const network = { name: "bitnet-server", range: "198.18.0.0/29", server: "198.18.0.2", balancer: "198.18.0.3" };

/**
 * Seconds that the load balancer keeps a connection on which nothing passes: as long as HAProxy waits for a token, and
 * a little more, so that the client gets HAProxy's answer. AWS's default of 60 would cut a slow first token off; 4000
 * is its limit.
 */
export const idleTimeout = drainTimeout + 10;

/** The statistics page's port, on the instance's loopback only. */
const statsPort = 8404;

const folder = "/usr/local/libexec/bitnet-server";
const settings = "/etc/bitnet-server/settings";

/** Seconds between two lines of metrics: the shortest period that CloudWatch's own alarms look at. */
const metricsInterval = 60;

/** Seconds between two looks at HAProxy, of which a line tells the average. */
const sampleInterval = 2;

interface File {
  path: string;
  executable?: boolean;
  content: string;
}

/**
 * A shell script for cloud-init. It runs once and only installs: what has to run is in systemd units, which run at
 * every boot. A pure function.
 */
export function userData(description: InstanceDescription): string {
  const units = [prepareUnit(), balancerUnit(), serverUnit(), readyUnit(), metricsUnit()];
  const files: File[] = [
    { path: settings, content: environment(description) },
    { path: "/etc/bitnet-server/haproxy.cfg", content: balancerConfiguration(description) },
    { path: "/etc/bitnet-server/docker/config.json", content: dockerLogin(description.registry) },
    ...kernelSettings(),
    { path: `${folder}/prepare`, executable: true, content: prepare },
    { path: `${folder}/server`, executable: true, content: server(description.server) },
    { path: `${folder}/balancer`, executable: true, content: balancer },
    { path: `${folder}/ready`, executable: true, content: ready },
    { path: `${folder}/metrics`, executable: true, content: metrics },
    ...units.map(({ name, content }) => ({ path: `/etc/systemd/system/${name}`, content })),
  ];
  return `#!/bin/bash
# Written by components/aws/userData.ts.
set -euo pipefail
until dnf install --assumeyes --quiet docker amazon-ecr-credential-helper; do sleep 5; done
${files.map(writeFile).join("\n")}
systemctl daemon-reload
systemd-tmpfiles --create /etc/tmpfiles.d/bitnet-server.conf
systemctl enable --quiet docker ${units.map(({ name }) => name).join(" ")}
# Without waiting: each unit waits for what it needs.
systemctl start --no-block ${units.map(({ name }) => name).join(" ")}
`;
}

function writeFile({ path, executable = false, content }: File): string {
  const parent = path.slice(0, path.lastIndexOf("/"));
  const mode = executable ? `\nchmod 755 ${path}` : "";
  return `mkdir -p ${parent}\ncat >${path} <<'END_OF_FILE'\n${content.trimEnd()}\nEND_OF_FILE${mode}`;
}

/** For systemd's EnvironmentFile: none of these values has a character that would need quoting. */
function environment(description: InstanceDescription): string {
  const { region, serverImage, balancerImage, secretArn, secretVersion, group, hook, logGroup } = description;
  return Object.entries({
    AWS_REGION: region,
    DOCKER_CONFIG: "/etc/bitnet-server/docker",
    // The helper would otherwise keep its token in a home directory, which a unit has not.
    AWS_ECR_DISABLE_CACHE: "true",
    SERVER_IMAGE: serverImage,
    BALANCER_IMAGE: balancerImage,
    SECRET: secretArn,
    SECRET_VERSION: secretVersion,
    GROUP: group,
    HOOK: hook,
    LOG_GROUP: logGroup,
    NAMESPACE: description.metricNamespace,
    SLOTS: String(description.server.parallel),
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

/**
 * Longer than the load balancer keeps an idle connection: if HAProxy were to close one just as the load balancer sends
 * a request on it, the client would get a 502.
 */
export const keepAlive = idleTimeout + 10;

function balancerConfiguration({ server: { parallel }, apiKeys }: InstanceDescription): string {
  const replicas = { addresses: [`${network.server}:${serverPort}`] };
  // Without the comments, which components/serving/haproxy.ts has: user data must be small.
  return haproxyConfiguration({ parallel, replicas, apiKeys, keepAlive }).replaceAll(/^ *#.*\n/gm, "");
}

function dockerLogin(registry: string): string {
  return JSON.stringify({ credHelpers: { [registry]: "ecr-login" } });
}

function kernelSettings(): File[] {
  return [
    {
      // 1.2 GB of weights are 600 entries of the page tables instead of 300,000, if they are in pages of 2 MB.
      path: "/etc/tmpfiles.d/bitnet-server.conf",
      content: "w /sys/kernel/mm/transparent_hugepage/enabled - - - - always",
    },
    {
      // Containers get no higher limit for locked memory than their daemon may give.
      path: "/etc/systemd/system/docker.service.d/bitnet-server.conf",
      content: "[Service]\nLimitMEMLOCK=infinity",
    },
  ];
}

const header = "#!/bin/bash\nset -euo pipefail\n";

const prepare = `${header}# At every boot: the API keys into memory, the images onto the disk, and the containers' network.
retry() { until "$@"; do sleep 5; done; }
keys() {
  aws secretsmanager get-secret-value --secret-id "$SECRET" --version-id "$SECRET_VERSION" \\
    --query SecretString --output text >/run/bitnet-server/keys
}
has() { docker image inspect "$1" >/dev/null 2>&1; }
umask 077
mkdir -p /run/bitnet-server
retry keys
for image in "$SERVER_IMAGE" "$BALANCER_IMAGE"; do has "$image" || retry docker pull --quiet "$image"; done
docker network inspect ${network.name} >/dev/null 2>&1 || docker network create --subnet ${network.range} ${network.name}
`;

/** Docker's own driver for CloudWatch; a full buffer loses lines instead of stopping the server. */
function logTo(stream: string): string {
  return [
    `--log-driver awslogs --log-opt "awslogs-region=$AWS_REGION" --log-opt "awslogs-group=$LOG_GROUP"`,
    `--log-opt "awslogs-stream=$(cat /var/lib/cloud/data/instance-id)/${stream}"`,
    "--log-opt mode=non-blocking --log-opt max-buffer-size=4m",
  ].join(" \\\n  ");
}

/** Who the server runs as: docker/server/runtime/entrypoint.sh's user, whom nobody else on an instance is. */
const serverUid = 65532;

const hardening = "--cap-drop ALL --read-only --security-opt no-new-privileges";

function server(options: ServerOptions): string {
  const variables = serverEnvironment(options).map((variable) => `--env ${shellQuote(variable)}`);
  return `${header}exec docker run --name bitnet-server --rm --network ${network.name} --ip ${network.server} \\
  --user ${serverUid}:${serverUid} ${hardening} --cap-add IPC_LOCK --ulimit memlock=-1:-1 \\
  --tmpfs /run:rw,noexec,nosuid,nodev,size=16m --tmpfs /tmp:rw,noexec,nosuid,nodev,size=64m \\
  ${variables.join(" \\\n  ")} \\
  ${logTo("server")} \\
  "$SERVER_IMAGE"
`;
}

/** The keys come by standard input: what is in a container's options can be inspected, and is written to the disk. */
const balancer = `${header}HAPROXY_CONFIG=$(cat /etc/bitnet-server/haproxy.cfg)
export HAPROXY_CONFIG
# shellcheck disable=SC2016 # the container's shell expands it
exec docker run --name bitnet-balancer --rm --interactive --network ${network.name} --ip ${network.balancer} \\
  --publish ${serverPort}:${serverPort} --publish 127.0.0.1:${statsPort}:${statsPort} --stop-signal SIGUSR1 \\
  ${hardening} --tmpfs /run:rw,noexec,nosuid,nodev,size=1m,mode=1777 \\
  --env HAPROXY_CONFIG --entrypoint sh \\
  ${logTo("balancer")} \\
  "$BALANCER_IMAGE" -c 'while IFS= read -r key; do export "$key"; done; printf "%s\\n" "$HAPROXY_CONFIG" >/run/haproxy.cfg; exec haproxy -db -f /run/haproxy.cfg' </run/bitnet-server/keys
`;

/** So often a server is started anew before it is taken to end always. */
const maxRestarts = 3;

/**
 * The server is asked first, at its own address: HAProxy takes a server to be there until a check has failed. 78 is the
 * entrypoint's word for a CPU that lacks what the image was compiled for.
 */
const ready = `${header}# Tells the group that this instance can be used, or never will be. Until then it counts as launching.
answers() { curl --fail --silent --output /dev/null --max-time 5 "http://$1:${serverPort}/health"; }
of_server() { systemctl show --value --property "$1" bitnet-server; }
result=CONTINUE
until answers ${network.server} && answers 127.0.0.1; do
  restarts=$(of_server NRestarts) status=$(of_server ExecMainStatus)
  if ((restarts >= ${maxRestarts} || status == 78)); then
    echo "bitnet-server: this instance is given up: the server ended $restarts times, at last with status $status"
    result=ABANDON
    break
  fi
  sleep 1
done
for _ in {1..60}; do
  if aws autoscaling complete-lifecycle-action --auto-scaling-group-name "$GROUP" --lifecycle-hook-name "$HOOK" \\
    --instance-id "$(cat /var/lib/cloud/data/instance-id)" --lifecycle-action-result "$result"; then
    mkdir -p /var/lib/bitnet-server
    touch /var/lib/bitnet-server/launched
    exit
  fi
  sleep 5
done
exit 1
`;

/**
 * HAProxy's names: docs.haproxy.org, "Prometheus exporter". Load may be more than 100 percent: requests that wait. It is
 * an average, because at a single moment one user's slot is busy or it is not; and it needs no word from the server,
 * which has none just when there is too much to do.
 */
const metrics = `${header}# Every minute a line in CloudWatch's embedded metric format: what was seen in it, on average.
instance=$(cat /var/lib/cloud/data/instance-id)
stream=(--log-group-name "$LOG_GROUP" --log-stream-name "$instance/metrics")
aws logs create-log-stream "\${stream[@]}" || true
get() { curl --fail --silent --max-time 10 "http://$1/metrics"; }
sum() { awk -v pattern="$1" '$0 ~ pattern { n += $NF } END { printf "%d", n }'; }
average() { awk -v sum="$1" -v count="$2" 'BEGIN { printf "%.2f", sum / count }'; }
before='' since=0
while true; do
  busy=0 waiting=0 samples=0
  for _ in {1..${metricsInterval / sampleInterval}}; do
    sleep ${sampleInterval}
    balancer=$(get 127.0.0.1:${statsPort}) || continue
    busy=$((busy + $(sum '^haproxy_server_current_sessions.proxy="replicas"' <<<"$balancer")))
    waiting=$((waiting + $(sum '^haproxy_(backend|server)_current_queue.proxy="replicas"' <<<"$balancer")))
    samples=$((samples + 1))
  done
  if ((samples == 0)); then continue; fi
  now=$(date +%s%3N)
  names="Load:Percent BusySlots:Count WaitingRequests:Count"
  line="\\"Load\\":$(average $((100 * (busy + waiting))) $((samples * SLOTS)))"
  line+=",\\"BusySlots\\":$(average $busy $samples),\\"WaitingRequests\\":$(average $waiting $samples)"
  if server=$(get ${network.server}:${serverPort}); then
    tokens=$(sum '^llamacpp:tokens_predicted_total' <<<"$server")
    # A server that was started anew counts from 0.
    if [[ -n $before ]] && ((tokens >= before)); then
      names+=" TokensPerSecond:Count/Second"
      line+=",\\"TokensPerSecond\\":$(average $((1000 * (tokens - before))) $((now - since)))"
    fi
    before=$tokens since=$now
  fi
  metrics=
  for metric in $names; do
    metrics+="\${metrics:+,}{\\"Name\\":\\"\${metric%:*}\\",\\"Unit\\":\\"\${metric#*:}\\"}"
  done
  line+=",\\"AutoScalingGroupName\\":\\"$GROUP\\",\\"InstanceId\\":\\"$instance\\",\\"_aws\\":{\\"Timestamp\\":$now"
  line+=",\\"CloudWatchMetrics\\":[{\\"Namespace\\":\\"$NAMESPACE\\",\\"Dimensions\\":[[\\"AutoScalingGroupName\\"]],\\"Metrics\\":[$metrics]}]}"
  aws logs put-log-events "\${stream[@]}" --output text \\
    --log-events "[{\\"timestamp\\":$now,\\"message\\":\\"{\${line//\\"/\\\\\\"}}\\"}]" || true
done
`;

interface Unit {
  name: string;
  content: string;
}

function unit(name: string, description: string, conditions: string, service: string): Unit {
  const content = `[Unit]
Description=BitNet Server: ${description}
${conditions}

[Service]
EnvironmentFile=${settings}
${service}

[Install]
WantedBy=multi-user.target`;
  return { name: `bitnet-${name}.service`, content };
}

function prepareUnit(): Unit {
  return unit(
    "prepare",
    "keys, images, network",
    "Requires=docker.service\nAfter=docker.service network-online.target\nWants=network-online.target",
    `Type=oneshot\nRemainAfterExit=yes\nExecStart=${folder}/prepare\nStandardOutput=journal+console`,
  );
}

function containerUnit(name: string, description: string, after: string, output: string): Unit {
  return unit(
    name,
    description,
    `Requires=bitnet-prepare.service\nAfter=${after}\nStartLimitIntervalSec=0`,
    `ExecStartPre=-/usr/bin/docker rm --force bitnet-${name}
ExecStart=${folder}/${name}
ExecStop=/usr/bin/docker stop --time ${replicaGrace} bitnet-${name}
TimeoutStopSec=${replicaGrace + 10}
Restart=always
RestartSec=2
StandardOutput=${output}
StandardError=${output}`,
  );
}

/** Its log is in CloudWatch and would only be here a second time; the server's end is wanted on the console, too. */
function balancerUnit(): Unit {
  return containerUnit("balancer", "HAProxy", "bitnet-prepare.service", "null");
}

/** After the balancer, so that it is stopped before: the balancer has to bring its last answers to the clients. */
function serverUnit(): Unit {
  return containerUnit("server", "llama-server", "bitnet-prepare.service bitnet-balancer.service", "journal+console");
}

function readyUnit(): Unit {
  return unit(
    "ready",
    "tell the Auto Scaling group",
    "ConditionPathExists=!/var/lib/bitnet-server/launched\nAfter=bitnet-server.service",
    `Type=oneshot\nExecStart=${folder}/ready\nStandardOutput=journal+console\nStandardError=journal+console`,
  );
}

function metricsUnit(): Unit {
  return unit(
    "metrics",
    "metrics for CloudWatch",
    "After=bitnet-server.service\nStartLimitIntervalSec=0",
    `ExecStart=${folder}/metrics\nNice=19\nRestart=always\nRestartSec=10`,
  );
}

/** Of the form $'…', which keeps it on one line, so that nothing in it can end the file that it stands in. */
function shellQuote(text: string): string {
  return `$'${text.replaceAll(/[\\']/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`)}'`;
}
