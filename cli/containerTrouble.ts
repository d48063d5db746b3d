import Docker from "dockerode";

/** How many of a container's last lines are shown. */
const lines = 6;

/**
 * What containers of a stack that do not run well said last. Pulumi only knows that one did not become healthy.
 * @param id the stack's; undefined: it has none, and so no containers
 * @returns a paragraph for each of them; none if Docker does not answer, which is then what the failure itself is about
 */
export async function containerTrouble(id: string | undefined, docker = new Docker()): Promise<string[]> {
  if (id === undefined) return [];
  try {
    return await lastWords(id, docker);
  } catch {
    return [];
  }
}

async function lastWords(id: string, docker: Docker): Promise<string[]> {
  const filters = { label: [`bitnet-server.id=${id}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const troubled = containers.filter(({ State, Status }) => State !== "running" || Status.includes("unhealthy"));
  return Promise.all(
    troubled.map(async ({ Id, Names, Status }) => {
      const log = await docker.getContainer(Id).logs({ stdout: true, stderr: true, tail: lines });
      return `${Names[0]?.slice(1) ?? Id} (${Status}) said:\n${textOf(log)}`;
    }),
  );
}

/**
 * A container's log without a terminal is in frames: 8 bytes of head, the last four of them the length, then the text
 * (docs.docker.com/reference/api/engine, "attach to a container", stream format).
 */
function textOf(log: Buffer): string {
  const parts: string[] = [];
  for (let at = 0; at + 8 <= log.length;) {
    const end = at + 8 + log.readUInt32BE(at + 4);
    parts.push(log.toString("utf8", at + 8, end));
    at = end;
  }
  return parts.join("").trimEnd().replaceAll(/^/gm, "    ");
}
