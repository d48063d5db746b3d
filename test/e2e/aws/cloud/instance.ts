import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { follow } from "../../../../offline/plugins/docker/pull.ts";
import { docker, replicaRights } from "../../support/docker.ts";
import { isHealthy } from "../../support/net.ts";
import { login } from "./registry.ts";

/** Seconds in which a new instance has to be ready. */
const launchTimeout = 300;

/**
 * An EC2 instance: the server and the HAProxy that its user data speaks of, as containers on a network of their own.
 * Only that much of the user data is looked at: what a machine does with it is another test's.
 */
export class Instance {
  readonly id = `i-${randomBytes(8).toString("hex")}`;
  /** The launch template's version that it was started from. */
  readonly version: string;
  /** As Auto Scaling calls it. */
  state: "Pending:Wait" | "InService" = "Pending:Wait";
  /** The port on loopback where it answers. */
  port = 0;
  readonly #label: string;
  #ended = false;

  /** @param label of its containers and its network */
  constructor(version: string, label: string) {
    this.version = version;
    this.#label = label;
  }

  /**
   * Returns once it answers.
   * @param secretOf the text of a secret's version
   */
  async launch(userData: string, secretOf: (arn: string, version: string) => string): Promise<void> {
    const { settings, serverVariables, balancerConfiguration } = read(userData);
    const { SERVER_IMAGE = "", BALANCER_IMAGE = "", SECRET = "", SECRET_VERSION = "" } = settings;
    for (const image of [SERVER_IMAGE, BALANCER_IMAGE]) await pull(image);
    await execa("docker", ["network", "create", "--label", this.#label, this.id]);
    await this.#run("server", SERVER_IMAGE, serverVariables, replicaRights);
    // Every instance's server has the same address; two instances of one machine cannot.
    const configuration = balancerConfiguration.replace(/(?<=server llama-1 )[\d.]+/, "server");
    const variables = [`HAPROXY_CONFIG=${configuration}`, ...secretOf(SECRET, SECRET_VERSION).split("\n")];
    await this.#run("balancer", BALANCER_IMAGE, variables, ["--publish=127.0.0.1::8080"]);
    this.port = await publishedPort(this.#container("balancer"), 8080);
    await this.#ready();
    this.state = "InService";
  }

  /** The last that the server said. */
  async console(): Promise<string> {
    return (await execa("docker", ["logs", this.#container("server")], { all: true, reject: false })).all;
  }

  async terminate(): Promise<void> {
    this.#ended = true;
    // What did not start may lack one of them.
    await execa("docker", ["rm", "--force", this.#container("server"), this.#container("balancer")], { reject: false });
    await execa("docker", ["network", "rm", this.id], { reject: false });
  }

  async #run(role: string, image: string, variables: readonly string[], options: readonly string[]): Promise<void> {
    const name = ["--name", this.#container(role), "--label", this.#label];
    const environment = variables.map((variable) => `--env=${variable}`);
    const network = ["--network", this.id, "--network-alias", role, "--tmpfs", "/run:mode=1777", "--tmpfs", "/tmp"];
    await execa("docker", ["run", "--detach", ...name, ...network, ...environment, ...options, image]);
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + launchTimeout * 1000;
    while (Date.now() < deadline) {
      if (this.#ended) throw new Error(`${this.id}: terminated before it was ready`);
      const { State } = await docker.getContainer(this.#container("server")).inspect();
      if (!State.Running) throw new Error(`${this.id}: the server ended`);
      if (await isHealthy(`http://127.0.0.1:${this.port}`)) return;
      await sleep(250);
    }
    throw new Error(`${this.id}: not ready within ${launchTimeout} s`);
  }

  #container(role: string): string {
    return `${this.id}-${role}`;
  }
}

/** Asks the registry, as an instance does whose disk is empty. */
async function pull(image: string): Promise<void> {
  const authconfig = { ...login, serveraddress: image.split("/", 1)[0] ?? "" };
  await follow(await docker.pull(image, { authconfig }));
}

/** What user data says about the two containers: components/aws/userData.ts. */
function read(userData: string) {
  const file = (path: string) =>
    userData.split(`cat >${path} <<'END_OF_FILE'\n`)[1]?.split("\nEND_OF_FILE", 1)[0] ?? "";
  const lines = file("/etc/bitnet-server/settings").split("\n");
  return {
    settings: Object.fromEntries(lines.map((line) => line.split(/=(.*)/s))) as Readonly<Record<string, string>>,
    serverVariables: [...userData.matchAll(/--env \$'((?:[^'\\]|\\.)*)'/g)].map(([, quoted = ""]) => unquoted(quoted)),
    balancerConfiguration: file("/etc/bitnet-server/haproxy.cfg"),
  };
}

/** Of bash's $'…': its text. */
function unquoted(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}

/** The port of this machine at which a container's port is reached. */
async function publishedPort(container: string, port: number): Promise<number> {
  const { NetworkSettings } = await docker.getContainer(container).inspect();
  return Number(NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort);
}
