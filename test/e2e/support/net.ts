import { randomInt } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces, platform } from "node:os";
import { docker } from "./docker.ts";

/** Ports that were handed out here: each only once. */
const drawn = new Set<number>();

/**
 * A TCP port that nothing listens on at this moment, and that the system gives to no outgoing connection until it is
 * used.
 */
export async function freePort(): Promise<number> {
  const [first, end] = portsToDraw();
  for (;;) {
    const port = randomInt(first, end);
    if (drawn.has(port) || !(await isFree(port))) continue;
    drawn.add(port);
    return port;
  }
}

/** Those below the ones that the system takes for outgoing connections. */
function portsToDraw(): [first: number, end: number] {
  const range = "/proc/sys/net/ipv4/ip_local_port_range";
  const ephemeral = existsSync(range) ? Number.parseInt(readFileSync(range, "utf8")) : 32_768;
  return ephemeral > 11_000 ? [10_000, ephemeral] : [10_000, 65_536];
}

/** On any address of this machine. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => {
      resolve(false);
    });
    server.listen(port, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/**
 * An address of this machine that its containers reach. On Linux that of Docker's bridge, which nobody else reaches; the
 * engine is asked for it, because the system lists the bridge's interface only while a container is attached to it.
 */
export async function addressForContainers(): Promise<string> {
  if (platform() === "linux") {
    const { IPAM } = await docker.getNetwork("bridge").inspect();
    const gateway = IPAM?.Config?.find(({ Gateway }) => Gateway !== undefined)?.Gateway;
    if (gateway !== undefined) return gateway;
  }
  const addresses = Object.values(networkInterfaces()).flatMap((them) => them ?? []);
  const found = addresses.find(({ family, internal }) => family === "IPv4" && !internal);
  if (found === undefined) throw new Error("this machine has no address that containers could reach");
  return found.address;
}

/** @param url of a llama-server or a load balancer, without a path */
export async function isHealthy(url: string): Promise<boolean> {
  return fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );
}
