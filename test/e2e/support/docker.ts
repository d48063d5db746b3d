import Docker from "dockerode";
import type { ContainerInspectInfo } from "dockerode";
import { execa } from "execa";

export const docker = new Docker();

/** A replica's rights, as components/docker gives them; the daemon's limit for locked memory stays as it is. */
export const replicaRights = [
  "--cap-drop=ALL",
  ...["IPC_LOCK", "SETGID", "SETPCAP", "SETUID"].map((capability) => `--cap-add=${capability}`),
  "--security-opt=no-new-privileges",
  "--read-only",
];

export type Role = "replica" | "gateway" | "load-balancer" | "registry" | "monitoring";

/** A stack's containers of one role, by name. @param stack the name that it had when it was made */
export async function containersOf(stack: string, role: Role): Promise<ContainerInspectInfo[]> {
  const label = [`bitnet-server.stack=${stack}`, `bitnet-server.role=${role}`];
  const found = await docker.listContainers({ all: true, filters: { label } });
  const containers = await Promise.all(found.map(({ Id }) => docker.getContainer(Id).inspect()));
  return containers.sort((a, b) => a.Name.localeCompare(b.Name));
}

/** A stack's only container of a role. */
export async function containerOf(stack: string, role: Role): Promise<ContainerInspectInfo> {
  const [container, ...more] = await containersOf(stack, role);
  if (container === undefined || more.length > 0) throw new Error(`${stack} has not one ${role}`);
  return container;
}

/**
 * All that a stack has on the Docker Engine, one line a thing: what carries its label or its id, and the images and
 * volumes, nameless ones too, that its containers use. One that was never up has no id, and nothing.
 */
export async function belongingsOf({ id }: { readonly id: string | undefined }, engine = docker): Promise<string[]> {
  if (id === undefined) return [];
  const filters = { label: [`bitnet-server.id=${id}`] };
  const [containers, images, networks, { Volumes: volumes }] = await Promise.all([
    engine.listContainers({ all: true, filters }),
    engine.listImages({ all: true }),
    engine.listNetworks({ filters }),
    engine.listVolumes({ filters }),
  ]);
  const named = images.filter(({ Labels, RepoTags }) => {
    const ours = (Labels as typeof Labels | null)?.["bitnet-server.image-of"] === id;
    return ours || (RepoTags ?? []).some((tag) => tag.includes(id));
  });
  const things = [
    ...containers.map(({ Id }) => `container ${Id}`),
    ...[...named.map(({ Id }) => Id), ...containers.map(({ ImageID }) => ImageID)].map((id) => `image ${id}`),
    ...networks.map(({ Id }) => `network ${Id}`),
    ...[...volumes, ...containers.flatMap(({ Mounts }) => Mounts)].map((volume) => `volume ${String(volume.Name)}`),
  ];
  return [...new Set(things)].filter((thing) => thing !== "volume undefined").sort();
}

/** Which of these the engine still has. */
export async function remaining(things: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    things.map(async (thing) => {
      const [kind = "", id = ""] = thing.split(" ");
      const { exitCode } = await execa("docker", [kind, "inspect", id], { reject: false });
      return exitCode === 0;
    }),
  );
  return things.filter((_, index) => found[index]);
}

/** The server's process in a replica. */
export interface ServerProcess {
  pid: number;
  args: string[];
  /** /proc/<pid>/status, by field. */
  status: Readonly<Record<string, string>>;
  /** The size of the model's file, in bytes. */
  modelBytes: number;
}

const serverProcessScript = `
for process in /proc/[0-9]*; do
  { read -r name < "$process/comm"; } 2>/dev/null || continue # it ended meanwhile
  if [[ $name == llama-server ]]; then
    mapfile -d '' -t args < "$process/cmdline"
    for ((i = 0; i < \${#args[@]}; i++)); do
      if [[ \${args[i]} == -m || \${args[i]} == --model ]]; then model=\${args[i + 1]}; fi
    done
    echo "\${process#/proc/}"; stat -Lc %s "$model"; echo "\${args[*]}"; cat "$process/status"
    exit
  fi
done
exit 1`;

/** @param inContainer runs a script in the server's container, as the server's user, and gives what it prints */
export async function serverProcess(inContainer: (script: string) => Promise<string>): Promise<ServerProcess> {
  const [pid, size, args = "", ...status] = (await inContainer(serverProcessScript)).split("\n");
  const fields = status.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
  return {
    pid: Number(pid),
    modelBytes: Number(size),
    args: args.split(" "),
    status: Object.fromEntries(fields) as Record<string, string>,
  };
}

/** Bytes of memory that a process has locked. */
export function lockedBytes({ status }: ServerProcess): number {
  return Number.parseInt(status.VmLck ?? "") * 1024;
}

/** Runs a script in a replica, as the server's own user: nobody else may send it a signal. */
export function inReplica(container: string): (script: string) => Promise<string> {
  return async (script) => {
    const { stdout } = await execa("docker", ["exec", "--user", "65532:65532", container, "bash", "-ec", script]);
    return stdout;
  };
}
