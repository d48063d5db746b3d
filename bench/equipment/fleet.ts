import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import type { Core } from "../../components/docker/cpus.ts";
import { shareCores } from "../../components/docker/cpus.ts";
import { balancerEnvironment, dnsNames } from "../../components/serving/balancer.ts";
import { ports } from "../../components/serving/ports.ts";
import { freePort } from "../../test/e2e/support/net.ts";
import type { Workshop } from "../workshop.ts";
import type { Server } from "./server.ts";
import { startServers } from "./server.ts";

export interface FleetOptions {
  image: string;
  cores: readonly Core[];
  replicas: number;
  /** Requests that a replica answers at once. */
  slots: number;
  /** HAProxy configurations by name, made of the real one; each gets a balancer of its own. */
  balancers: Readonly<Record<string, (configuration: string) => string>>;
}

/** Replicas with load balancers in front, all of them on the same replicas. */
export interface Fleet extends AsyncDisposable {
  /** http://127.0.0.1:<port> of the load balancers, by name. */
  balancers: Readonly<Record<string, string>>;
  replicas: readonly Server[];
}

/** How replicas share two cores. */
export const shapes = [
  { replicas: 1, name: "1 replica × 2 cores" },
  { replicas: 2, name: "2 replicas × 1 core" },
] as const;

/** The product's own configuration, untouched. */
export const real = (configuration: string): string => configuration;

/** Round robin that knows nothing of slots: what a load balancer does that nobody has configured. */
export function roundRobin(configuration: string): string {
  return ofReplicas(withoutRouting(configuration), (backend) =>
    backend.replace(/^ {2}balance .*$/m, "  balance roundrobin").replace(/^( {2}default-server.*?) maxconn \S+/m, "$1"),
  );
}

/** The real configuration, but that a conversation goes to whichever replica has the fewest requests. */
export function withoutRouting(configuration: string): string {
  return ofReplicas(configuration, (backend) =>
    backend
      .split("\n")
      .filter((line) => !/^ {2}(use-server|stick|stick-table|hash-\S+|http-request) /.test(line))
      .join("\n")
      .replace(/^ {2}balance .*$/m, "  balance leastconn"),
  );
}

/** Changes the backend that sends requests to replicas, and nothing else. */
function ofReplicas(configuration: string, change: (backend: string) => string): string {
  return configuration.replace(/^backend replicas$[^]*?(?=^backend )/m, change);
}

export async function startFleet(workshop: Workshop, options: FleetOptions): Promise<Fleet> {
  const { image, cores, replicas: count, slots } = options;
  const network = `bench-${randomUUID()}`;
  const containers: string[] = [];
  await execa("docker", ["network", "create", network]);
  let replicas: Server[] = [];
  const dispose = async () => {
    await execa("docker", ["rm", "--force", ...containers, ...replicas.map(({ name }) => name)], { reject: false });
    await execa("docker", ["network", "rm", network], { reject: false });
  };
  try {
    replicas = await startServers(
      workshop,
      shareCores(cores, count).map((share) => ({
        image,
        cores: share,
        flags: [`--network=${network}`, `--network-alias=${dnsNames.replicas}`],
        environment: { PARALLEL: String(slots) },
      })),
    );
    const configuration = await readFile("docker/load-balancer/haproxy.cfg", "utf8");
    const environment = Object.entries(balancerEnvironment({ parallel: slots, dns: "127.0.0.11:53" }));
    const balancerImage = await workshop.dockerBuild("bench-load-balancer", "docker/load-balancer/Dockerfile");
    const balancers: Record<string, string> = {};
    for (const [name, change] of Object.entries(options.balancers)) {
      const [port, statsPort] = [await freePort(), await freePort()];
      const container = `${network}-${name}`;
      containers.push(container);
      const changed = join(await mkdtemp(join(tmpdir(), "bench-")), "haproxy.cfg");
      await writeFile(changed, change(configuration));
      await chmod(dirname(changed), 0o755);
      await execa("docker", [
        ...["run", "--detach", "--name", container, `--label=${workshop.label}`, `--network=${network}`],
        ...[`--publish=127.0.0.1:${port}:${ports.balancer}`, `--publish=127.0.0.1:${statsPort}:${ports.statistics}`],
        `--volume=${changed}:/usr/local/etc/haproxy/haproxy.cfg:ro`,
        ...environment.map(([name, value]) => `--env=${name}=${value}`),
        balancerImage,
      ]);
      balancers[name] = `http://127.0.0.1:${port}`;
      await allUp(container, statsPort, count);
    }
    return { balancers, replicas, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** @throws RangeError if the fleet has no load balancer of that name */
export function urlOf(fleet: Fleet, balancer: string): string {
  const url = fleet.balancers[balancer];
  if (url === undefined) throw new RangeError(`the fleet has no load balancer ${balancer}`);
  return url;
}

/** Waits until a balancer has found all replicas. */
async function allUp(container: string, statsPort: number, replicas: number): Promise<void> {
  for (let tries = 0; tries < 150; tries++) {
    const statistics = await fetch(`http://127.0.0.1:${statsPort}/;csv`).then(
      (response) => response.text(),
      () => "",
    );
    if ((statistics.match(/^replicas,llama-.*,UP,/gm) ?? []).length === replicas) return;
    await sleep(200);
  }
  const { all } = await execa("docker", ["logs", "--tail", "5", container], { all: true });
  throw new Error(`a load balancer does not find its ${replicas} replicas: ${all}`);
}
