import Docker from "dockerode";
import { textOf, whyItEnded } from "../components/docker/containerLog.ts";
import { containerName, stackContainers } from "./stackContainers.ts";

/**
 * What containers of a stack that do not run well said about it. Pulumi only knows that something does not answer.
 * @param id the stack's; undefined: it has none, and so no containers
 * @param said what is told of the failure already: a container that it names is left out
 * @returns a paragraph for each of them; none if Docker does not answer, which is then what the failure itself is about
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
