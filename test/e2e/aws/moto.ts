import { execa } from "execa";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

/** AWS's API as moto plays it: a Python package, in a folder of its own. */
const version = "5.2.5";
const folder = ".tools/moto";

export interface Moto {
  endpoint: string;
  stop: () => Promise<void>;
}

export async function startMoto(): Promise<Moto> {
  await install();
  const port = await freePort();
  const server = execa(`${folder}/bin/moto_server`, ["--host", "127.0.0.1", "--port", String(port)], {
    stdio: "ignore",
    reject: false,
  });
  const endpoint = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    if (
      await fetch(endpoint).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      break;
    if (tries > 300) throw new Error("moto does not start within a minute");
    await sleep(200);
  }
  return {
    endpoint,
    stop: async () => {
      server.kill();
      await server;
    },
  };
}

async function install(): Promise<void> {
  if (existsSync(`${folder}/${version}`)) return;
  await execa("python3", ["-m", "venv", folder]);
  await execa(`${folder}/bin/pip`, ["install", "--quiet", "--disable-pip-version-check", `moto[server]==${version}`]);
  await execa("touch", [`${folder}/${version}`]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
