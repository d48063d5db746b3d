/**
 * Run by DockerFleet's commands: waits until a replica's container is healthy, that is, has answered its first question. The
 * image's health check is run here, as Docker runs it only every few seconds. Fails as soon as the container has exited for
 * a reason that its entrypoint gives, or has restarted twice; it then says why and stops the container, which would
 * otherwise restart forever. The environment variable AWAIT_REPLICA says what to wait for.
 */
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { z } from "zod";
import { givesReason, textOf, whyItEnded } from "../components/docker/containerLog.ts";

const { id, timeout } = z
  .object({ id: z.string(), timeout: z.number() })
  .parse(JSON.parse(process.env.AWAIT_REPLICA ?? "{}"));
const container = new Docker().getContainer(id);
const deadline = Date.now() + timeout * 1000;

let state = await look();
while (state === "starting" && Date.now() < deadline) {
  await sleep(250);
  state = await look();
}
if (state !== "ready") {
  const { Name } = await container.inspect();
  const what = state === "ended" ? "does not start" : `is not ready after ${timeout} s`;
  console.error(`replica ${Name.slice(1)} ${what}:\n${whyItEnded(await log()).replaceAll(/^/gm, "  ")}`);
  // Docker answers 304 if the container has exited by itself.
  await container.stop({ t: 5 }).catch(() => undefined);
  process.exitCode = 1;
}

async function look(): Promise<"starting" | "ready" | "ended"> {
  const { Config, State, RestartCount } = await container.inspect();
  if (await isHealthy(Config.Healthcheck)) return "ready";
  if (!State.Running || RestartCount >= 2) return "ended";
  return RestartCount > 0 && givesReason(await log()) ? "ended" : "starting";
}

/** @param check of the image; its timeout is in nanoseconds */
async function isHealthy({ Test = [], Timeout = 0 }: Docker.HealthConfig = {}): Promise<boolean> {
  try {
    const exec = await container.exec({ Cmd: Test.slice(1), AttachStdout: true });
    await finished((await exec.start({})).resume(), { signal: AbortSignal.timeout(Timeout / 1e6) });
    return (await exec.inspect()).ExitCode === 0;
  } catch {
    return false; // The container is not running, or the check takes longer than Docker would let it.
  }
}

async function log(): Promise<string> {
  return textOf(await container.logs({ stdout: true, stderr: true, tail: 2000 }));
}
