import Docker from "dockerode";
import { textOf, whyItEnded } from "../components/docker/containerLog.ts";
import { containerName, stackContainers } from "./stackContainers.ts";

/**
 * What the logs of a stack's unhealthy containers say. Pulumi only knows that something does not answer.
 * @param id the stack's id; undefined if it has none, and therefore no containers
 * @param said the failure message so far; containers that it names are left out
 * @returns a paragraph for each container; none if Docker does not answer, because then the failure is about that
 */
export async function explainUnhealthy(id: string | undefined, said: string, docker = new Docker()): Promise<string[]> {
  if (id === undefined) return [];
  try {
    return await lastWords(id, said, docker);
  } catch {
    return [];
  }
}

async function lastWords(id: string, said: string, docker: Docker): Promise<string[]> {
  const troubled = (await stackContainers(id, docker))
    .filter(({ State, Status }) => State !== "running" || Status.includes("unhealthy"))
    .filter(({ Names }) => !Names.some((name) => said.includes(name.slice(1))));
  return Promise.all(
    troubled.map(async (container) => {
      const log = await docker.getContainer(container.Id).logs({ stdout: true, stderr: true, tail: 2000 });
      return `${containerName(container)} (${container.Status}) said:\n${whyItEnded(textOf(log)).replaceAll(/^/gm, "    ")}`;
    }),
  );
}
