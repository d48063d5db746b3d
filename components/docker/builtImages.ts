import Docker from "dockerode";
import { z } from "zod";

/** https://distribution.github.io/distribution/spec/api/#listing-image-tags */
const tagList = z.object({ tags: z.array(z.string()).nullish() });

/** Timeout for an answer of a registry on loopback, in milliseconds. */
const timeout = 2000;

/** Names and tags, such as `bitnet-server-registry:0123`, of all images on this machine's engine. */
export async function tagsOnEngine(docker = new Docker()): Promise<ReadonlySet<string>> {
  const images = await docker.listImages();
  // Null in some engines, despite the declarations.
  return new Set(images.flatMap(({ RepoTags }) => (RepoTags as string[] | null) ?? []));
}

/**
 * The tags in a repository of a stack's registry on loopback. They are unknown while the registry does not run. What is
 * on the engine is enough then, because replicas can be created from it, unless the registry has lost its volume.
 * @param id the stack's id. Undefined: the stack is new, and so is its registry
 */
export async function tagsInRegistry(
  repository: string,
  id: string | undefined,
  onEngine: ReadonlySet<string>,
  docker = new Docker(),
): Promise<ReadonlySet<string>> {
  if (id === undefined) return new Set();
  const [host, ...path] = repository.split("/");
  try {
    const url = `http://${String(host)}/v2/${path.join("/")}/tags/list`;
    const response = await fetch(url, { signal: AbortSignal.timeout(timeout) });
    if (!response.ok) return new Set();
    return new Set(tagList.parse(await response.json()).tags ?? []);
  } catch {
    const label = [`bitnet-server.id=${id}`, "bitnet-server.role=registry-blobs"];
    const { Volumes: volumes } = await docker.listVolumes({ filters: { label } });
    if (volumes.length === 0) return new Set();
    const prefix = `${repository}:`;
    const names = [...onEngine].filter((name) => name.startsWith(prefix));
    return new Set(names.map((name) => name.slice(prefix.length)));
  }
}
