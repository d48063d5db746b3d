import { join } from "node:path";
import { execa } from "execa";
import { checkout } from "../../../../cli/paths.ts";
import type { Properties } from "../../../../offline/plugins/values.ts";
import { textOf } from "../../../../offline/plugins/values.ts";
import { dockerBuild } from "../../support/build.ts";
import { docker } from "../../support/docker.ts";
import type { Resource, Service } from "./resource.ts";

/** What ECR hands out to log in with. */
export const login = { username: "AWS", password: "token-of-the-registry" };

/** The only user's name, and the password as `htpasswd -B` has it. */
const users = `${login.username}:$2y$05$abcdefghijklmnopqrstuuOZgWYCBLTMRqSE70K2lE.E/ytp068uy`;

/** ECR: a registry in a container, on loopback, that lets nobody in without the login. */
export class ContainerRegistry implements Service {
  readonly #label: string;
  readonly #image: string;
  readonly #containers = new Map<string, string>();

  /** @param label of the containers */
  constructor(label: string) {
    this.#label = label;
    this.#image = `bitnet-server-test-registry:${label.split("=").at(-1) ?? ""}`;
  }

  async make({ id, history: [inputs] }: Resource): Promise<Properties> {
    const { exitCode, all } = await dockerBuild(join(checkout, "docker", "registry"), {}, ["--tag", this.#image]);
    if (exitCode !== 0) throw new Error(all);
    const settings = [
      "REGISTRY_AUTH=htpasswd",
      "REGISTRY_AUTH_HTPASSWD_REALM=ecr",
      "REGISTRY_AUTH_HTPASSWD_PATH=/tmp/users",
      `USERS=${users}`,
    ];
    const { stdout: container } = await execa("docker", [
      ...["run", "--detach", "--label", this.#label, "--publish", "127.0.0.1::5000"],
      ...settings.map((setting) => `--env=${setting}`),
      ...["--entrypoint", "sh", this.#image, "-c"],
      'echo "$USERS" >/tmp/users; exec docker-registry serve /etc/docker/registry/config.yml',
    ]);
    this.#containers.set(id, container);
    return { repositoryUrl: `127.0.0.1:${await publishedPort(container, 5000)}/${textOf(inputs?.["name"])}` };
  }

  async remove(id: string): Promise<void> {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    await docker.getContainer(container).remove({ force: true, v: true });
    await docker.getImage(this.#image).remove({ force: true });
    this.#containers.delete(id);
  }
}

/** The port of this machine at which a container's port is reached. */
export async function publishedPort(container: string, port: number): Promise<number> {
  const { NetworkSettings } = await docker.getContainer(container).inspect();
  return Number(NetworkSettings.Ports[`${port}/tcp`]?.[0]?.HostPort);
}
