import Docker from "dockerode";
import { z } from "zod";

/** https://distribution.github.io/distribution/spec/api/#listing-image-tags */
const tagList = z.object({ tags: z.array(z.string()).nullish() });

/** Milliseconds that a registry on loopback has to answer. */
const timeout = 2000;

/** The names and tags, such as `bitnet-server-registry:0123`, of all images that this machine's engine has. */
export async function tagsOnEngine(docker = new Docker()): Promise<ReadonlySet<string>> {
  const images = await docker.listImages();
  // Null in some engines, whatever the declarations say.
  return new Set(images.flatMap(({ RepoTags }) => (RepoTags as string[] | null) ?? []));
}

/**
 * The tags that a repository of a stack's registry on loopback has. While the registry does not run nobody can tell: what
 * is on the engine then is enough, as replicas can be made from that, unless the registry has lost its volume.
 * @param id the stack's; undefined: it is new, and so is its registry
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
