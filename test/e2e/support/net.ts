import { once } from "node:events";
import { createServer } from "node:net";
import { networkInterfaces, platform } from "node:os";
import { docker } from "./docker.ts";

/** A TCP port of 127.0.0.1 that nothing listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  return address.port;
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
