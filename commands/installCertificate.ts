/**
 * Run by the docker target's command: installs a certificate in the running load balancer
 * (docker/load-balancer/install-certificate.pl). The environment variable LOAD_BALANCER has the container's id; CERTIFICATE
 * has the certificate, the rest of its chain and its key, in PEM.
 */
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import { z } from "zod";
import { textOf } from "../components/docker/containerLog.ts";

const { LOAD_BALANCER, CERTIFICATE } = z
  .object({ LOAD_BALANCER: z.string(), CERTIFICATE: z.string() })
  .parse(process.env);

const exec = await new Docker().getContainer(LOAD_BALANCER).exec({
  Cmd: ["install-certificate.pl"],
  AttachStdin: true,
  AttachStdout: true,
  AttachStderr: true,
});
const stream = await exec.start({ hijack: true, stdin: true });
stream.end(CERTIFICATE);
const output = textOf(await buffer(stream));
// Docker notes the exit status a moment after the output has ended.
let ended = await exec.inspect();
for (let tries = 0; ended.Running && tries < 100; tries++) {
  await sleep(100);
  ended = await exec.inspect();
}
if (ended.ExitCode !== 0) {
  console.error(`the load balancer does not take the certificate:\n${output.trim()}`);
  process.exitCode = 1;
}
