import { execa } from "execa";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../support/net.ts";
import { pythonWith } from "../support/python.ts";

/** So many tasks of each service run, if that many are wanted. */
export const runningTasks = 2;

/** AWS's API as moto plays it: a Python package, in a folder of its own. */
const version = "5.2.5";

export interface Moto {
  endpoint: string;
  stop: () => Promise<void>;
}

export async function startMoto(): Promise<Moto> {
  const programs = await pythonWith(`moto[server]==${version}`);
  const port = await freePort();
  const server = execa(join(programs, "moto_server"), ["--host", "127.0.0.1", "--port", String(port)], {
    stdio: "ignore",
    env: { MOTO_ECS_SERVICE_RUNNING: String(runningTasks) },
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
