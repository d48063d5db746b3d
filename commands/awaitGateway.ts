/**
 * Run by the docker target's commands: waits until the load balancer sends requests to a gateway. Fails as soon as the
 * gateway's container has exited; it then says why and stops the container, which would otherwise restart forever. The
 * environment variable AWAIT_GATEWAY says what to wait for.
 */
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { z } from "zod";
import { textOf, whyItEnded } from "../components/docker/containerLog.ts";

const { id, statsUrl, server, timeout } = z
  .object({ id: z.string(), statsUrl: z.string(), server: z.string(), timeout: z.number() })
  .parse(JSON.parse(process.env.AWAIT_GATEWAY ?? "{}"));
const container = new Docker().getContainer(id);
const deadline = Date.now() + timeout * 1000;

let ended = false;
while (!(await isUp()) && !ended && Date.now() < deadline) {
  await sleep(250);
  const { State, RestartCount } = await container.inspect();
  ended = !State.Running || RestartCount >= 2;
}
if (ended || Date.now() >= deadline) {
  const { Name } = await container.inspect();
  const log = whyItEnded(textOf(await container.logs({ stdout: true, stderr: true, tail: 200 })));
  const what = ended ? "does not start" : `is not reached by the load balancer after ${timeout} s`;
  console.error(`gateway ${Name.slice(1)} ${what}:\n${log.replaceAll(/^/gm, "  ")}`);
  // Docker answers 304 if the container has exited by itself.
  await container.stop({ t: 5 }).catch(() => undefined);
  process.exitCode = 1;
}

/** HAProxy's statistics in CSV (management.txt, section 9.1); the 18th column is the state. */
async function isUp(): Promise<boolean> {
  const csv = await fetch(statsUrl, { signal: AbortSignal.timeout(5_000) }).then(
    (answer) => answer.text(),
    () => "",
  );
  const columns = csv.split("\n").map((line) => line.split(","));
  return columns.some(([backend, name, ...rest]) => backend === "gateways" && name === server && rest[15] === "UP");
}
