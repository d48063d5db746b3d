import { randomUUID } from "node:crypto";
import { region } from "../../program/aws.ts";
import type { Registered } from "../../program/program.ts";
import { ofType, runProgram } from "../../program/program.ts";
import { freePort } from "../support/net.ts";
import { sources } from "../support/testStack.ts";
import type { Machine } from "../support/virtualMachine.ts";
import { startMachine } from "../support/virtualMachine.ts";
import type { ImageInputs } from "./instanceImages.ts";
import { startImageRegistry } from "./instanceImages.ts";
import type { Call, Services } from "./instanceServices.ts";
import { startServices } from "./instanceServices.ts";

/** A virtual machine that takes itself for an instance of a stack. */
export interface Instance {
  id: string;
  /** The Auto Scaling group, and its launch hook. */
  group: string;
  hook: string;
  /** As the launch template has it. */
  userData: string;
  machine: Machine;
  /** http://<host>:<port>: what the load balancer sends requests to. */
  url: string;
  /** The calls of AWS's APIs that came from it. */
  calls: readonly Call[];
  /** The status of a question's answer, whenever the instance told its group that it can be used. */
  answersAtLaunch: readonly number[];
  stop(): Promise<void>;
}

/**
 * Runs the program, builds and pushes the images that it asks for, and starts a machine with the user data that it
 * puts into the launch template. What only EC2 has around it is played: the metadata service, AWS's APIs, ECR and the
 * package manager. The tools that use them (AWS's command line, the credential helper, Docker) are real.
 * @param config the stack's
 */
export async function startInstance(config: Record<string, string>): Promise<Instance> {
  const parts: { stop(): Promise<void> }[] = [];
  async function stop(): Promise<void> {
    for (const part of parts.splice(0).toReversed()) await part.stop();
  }
  function keep<Part extends { stop(): Promise<void> }>(part: Part): Part {
    parts.push(part);
    return part;
  }
  try {
    const registry = keep(await startImageRegistry());
    const stack = await deploy(config, async (image) => registry.push(image));
    const [id, port] = ["i-0123456789abcdef0", await freePort()];
    const url = `http://127.0.0.1:${port}`;
    const answersAtLaunch: number[] = [];
    const onLaunched = async () => {
      answersAtLaunch.push(await statusOfAnswer(url, stack.secret.text));
    };
    const situation = { ...stack, instanceId: id, registry: { host: stack.registry, port: registry.port }, onLaunched };
    const services = keep(await startServices(situation));
    const { userData, group, hook } = stack;
    const machine = keep(
      await startMachine({ instanceId: id, userData, cloudConfig: surroundings(services), ports: { [port]: 8080 } }),
    );
    return { id, group, hook, userData, machine, url, calls: services.calls, answersAtLaunch, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Runs the program, and finds in what it registers all that an instance meets. */
async function deploy(config: Record<string, string>, push: (image: ImageInputs) => Promise<string>) {
  const secret = { arn: `arn:aws:secretsmanager:${region}:123456789012:secret:keys-AbCdEf`, version: randomUUID() };
  const run = await runProgram({ target: "aws", allowPlainHttp: "true", ...(await sources()), ...config }, false, {
    stack: "instance-test",
    create: async (type, name, inputs) => {
      switch (type) {
        case "docker:index/image:Image":
          return { id: name, state: { repoDigest: await push(inputs as unknown as ImageInputs) } };
        case "aws:secretsmanager/secretVersion:SecretVersion":
          return { id: name, state: { secretArn: secret.arn, versionId: secret.version } };
        default:
          return undefined;
      }
    },
  });
  const inputsOf = (type: string): Registered["inputs"] => ofType(run, type)[0]?.inputs ?? {};
  const { name: group, initialLifecycleHooks } = inputsOf("aws:autoscaling/group:Group");
  const [{ name: hook } = { name: "" }] = initialLifecycleHooks as { name: string }[];
  return {
    region,
    group: String(group),
    hook,
    userData: Buffer.from(String(inputsOf("aws:ec2/launchTemplate:LaunchTemplate").userData), "base64").toString(),
    logGroup: String(inputsOf("aws:cloudwatch/logGroup:LogGroup").name),
    secret: { ...secret, text: String(inputsOf("aws:secretsmanager/secretVersion:SecretVersion").secretString) },
    registry: String(run.outputs.repository).split("/", 1).join(),
  };
}

/** Of a real question: HAProxy's /health takes a server to be there until a check has failed. */
async function statusOfAnswer(url: string, secret: string): Promise<number> {
  const key = /^API_KEY_0=(.*)$/m.exec(secret)?.[1] ?? "";
  const { status } = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: "bitnet", messages: [{ role: "user", content: "4" }], max_tokens: 1 }),
  });
  return status;
}

/** An address for documentation (RFC 5737), where nothing else can be. */
const servicesAddress = "192.0.2.1";

/** The package manager: everything is on the disk. As after a real installation, Docker does not run. */
const dnf = `#!/bin/sh
echo "$*" >>/var/log/dnf
systemctl disable --quiet --now docker.socket docker.service
`;

/** What lets a machine reach the services where it looks for them. */
function surroundings({ ports, hosts, certificate }: Services): Record<string, unknown> {
  const lead = (address: string, port: number, to: number) =>
    `iptables -t nat -A OUTPUT -p tcp -d ${address} --dport ${port} -j DNAT --to-destination 10.0.2.2:${to}`;
  return {
    write_files: [
      { path: "/usr/local/bin/dnf", content: dnf, permissions: "0755" },
      { path: "/etc/hosts", content: `${servicesAddress} ${hosts.join(" ")}\n`, append: true },
    ],
    ca_certs: { trusted: [certificate] },
    // At every boot. 10.0.2.2 is this machine's loopback.
    bootcmd: [lead("169.254.169.254", 80, ports.metadata), lead(servicesAddress, 443, ports.tls)],
  };
}
