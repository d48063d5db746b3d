import Docker from "dockerode";
import { textOf, whyItEnded } from "../components/docker/containerLog.ts";

/**
 * What containers of a stack that do not run well said about it. Pulumi only knows that something does not answer.
 * @param id the stack's; undefined: it has none, and so no containers
 * @param said what is told of the failure already: a container that it names is left out
 * @returns a paragraph for each of them; none if Docker does not answer, which is then what the failure itself is about
 */
export async function containerTrouble(id: string | undefined, said: string, docker = new Docker()): Promise<string[]> {
  if (id === undefined) return [];
  try {
    return await lastWords(id, said, docker);
  } catch {
    return [];
  }
}

async function lastWords(id: string, said: string, docker: Docker): Promise<string[]> {
  const filters = { label: [`bitnet-server.id=${id}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const troubled = containers
    .filter(({ State, Status }) => State !== "running" || Status.includes("unhealthy"))
    .filter(({ Names }) => !Names.some((name) => said.includes(name.slice(1))));
  return Promise.all(
    troubled.map(async ({ Id, Names, Status }) => {
      const log = await docker.getContainer(Id).logs({ stdout: true, stderr: true, tail: 2000 });
      return `${Names[0]?.slice(1) ?? Id} (${Status}) said:\n${whyItEnded(textOf(log)).replaceAll(/^/gm, "    ")}`;
    }),
  );
}
