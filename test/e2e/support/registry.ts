import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { vi } from "vitest";
import { checkout } from "../../../cli/paths.ts";
import { dockerBuild } from "./build.ts";
import { docker } from "./docker.ts";
import { freePort } from "./net.ts";

const image = "bitnet-server-test-registry";

/** A registry of the test's own. */
export interface TestRegistry {
  /** 127.0.0.1:<port>, to which Docker speaks plain HTTP. */
  host: string;
  /** Its container's id. */
  container: string;
  /** Removes it, with all that was pushed. */
  stop(): Promise<void>;
}

export interface RegistryOptions {
  /** The only one who may push and pull. Default: everybody may. */
  user?: { username: string; password: string };
  /** Of the container. */
  label?: string;
}

export async function startRegistry({ user, label }: RegistryOptions = {}): Promise<TestRegistry> {
  const built = await dockerBuild(join(checkout, "docker/registry"), {}, ["--tag", image]);
  if (built.failed) throw new Error(built.all);
  const folder = await mkdtemp(join(tmpdir(), "bitnet-server-registry-"));
  const host = `127.0.0.1:${await freePort()}`;
  const flags = [`--publish=${host}:5000`, ...(label === undefined ? [] : [`--label=${label}`])];
  if (user !== undefined) {
    const users = join(folder, "users");
    await writeFile(users, `${user.username}:${await bcrypt(user.password)}\n`);
    flags.push(`--volume=${users}:/users:ro`, "--env=REGISTRY_AUTH_HTPASSWD_REALM=test");
    flags.push("--env=REGISTRY_AUTH_HTPASSWD_PATH=/users");
  }
  const { stdout: id } = await execa("docker", ["run", "--detach", ...flags, image]);
  const status = () =>
    fetch(`http://${host}/v2/`).then(
      (response) => response.status,
      () => undefined,
    );
  await vi.waitUntil(async () => (await status()) === (user === undefined ? 200 : 401), { timeout: 60_000 });
  return {
    host,
    container: id,
    async stop() {
      await docker.getContainer(id).remove({ force: true, v: true });
      await execa("docker", ["rmi", image], { reject: false });
      await rm(folder, { recursive: true });
    },
  };
}

/** The one kind of sum that the registry takes for a password. Perl has it from Debian's libcrypt. */
async function bcrypt(password: string): Promise<string> {
  const salt = `$2b$05$${randomBytes(11).toString("hex")}`;
  const perl = ["run", "--rm", "--entrypoint=perl", image, "-e", "print crypt($ARGV[0], $ARGV[1])", password, salt];
  const { stdout } = await execa("docker", perl);
  if (!stdout.startsWith("$2b$05$")) throw new Error(`no bcrypt: ${stdout}`);
  return stdout;
}
