/**
 * Run by components/image/oldImages.ts: removes a stack's old images from the Docker Engine and from the stack's own registry.
 * Old are all server images except the running one and the one before it, and every small image that has lost its tag to a
 * newer one. An image that any container was made from stays. Prints the images that it has kept, newest first.
 */
import Docker from "dockerode";
import type { ImageInfo } from "dockerode";
import { execa } from "execa";
import { z } from "zod";

const { STACK_ID, IMAGE, REGISTRY, PULUMI_COMMAND_STDOUT } = z
  .object({
    STACK_ID: z.string().min(1),
    /** repository@sha256:… of the image that runs now. */
    IMAGE: z.string().regex(/^[^@]+@sha256:[0-9a-f]{64}$/),
    /** The registry's container. */
    REGISTRY: z.string().optional(),
    /** The images that the last run kept. */
    PULUMI_COMMAND_STDOUT: z.string().default(""),
  })
  .parse(process.env);

/** The running one and the one before it. */
const howMany = 2;

const label = "bitnet-server.image-of";
const [repository = "", running = ""] = IMAGE.split("@");
const before = PULUMI_COMMAND_STDOUT.split("\n").filter((digest) => digest.startsWith("sha256:"));
const kept = [...new Set([running, ...before])].slice(0, howMany);

/** Docker's and OCI's forms of an image and of a list of images. */
const mediaTypes = [
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
];
const reference = z.object({ digest: z.string() });
const manifestOrIndex = z.object({ config: reference.optional(), manifests: z.array(reference).optional() });
const imageConfig = z.object({
  config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).optional(),
});

await cleanEngine(new Docker());
if (REGISTRY !== undefined) await cleanRegistry(REGISTRY);
console.log(kept.join("\n"));

async function cleanEngine(docker: Docker): Promise<void> {
  const filters = { label: [`${label}=${STACK_ID}`] };
  const [images, containers] = await Promise.all([
    docker.listImages({ filters }),
    docker.listContainers({ all: true }),
  ]);
  const used = new Set(containers.map(({ ImageID }) => ImageID));
  for (const image of images) {
    const names = namesOf(image);
    const ours = names.filter(isOurName);
    if (used.has(image.Id) || ours.some((name) => kept.includes(digestOf(name)))) continue;
    // By our names and without force: if the user gave the image another name, it stays.
    for (const name of names.length === 0 ? [image.Id] : ours) await docker.getImage(name).remove().catch(ignoreGone);
  }
}

/** Of the stack's repository; its own registry may have had another port. */
function isOurName(name: string): boolean {
  const portless = (text: string) => text.replace(/^127\.0\.0\.1:\d+\//, "");
  return [":", "@"].some((separator) => portless(name).startsWith(`${portless(repository)}${separator}`));
}

/** Removing an image's last name removes the image. If a container has begun to use it, it stays until the next update. */
function ignoreGone(error: Error & { statusCode?: number }): void {
  if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
}

function namesOf({ RepoTags, RepoDigests }: ImageInfo): string[] {
  const all = [(RepoTags as string[] | null) ?? [], RepoDigests ?? []].flat();
  return all.filter((name) => !name.includes("<none>"));
}

function digestOf(name: string): string {
  return name.slice(name.indexOf("@") + 1);
}

/**
 * Deletes manifests by the registry's API, then runs the registry's garbage collector. Nobody pushes meanwhile: the stack
 * is locked, and another stack uses another registry. The registry keeps no cache of blobs in
 * memory (docker/registry/config.yml), so it needs no restart.
 */
async function cleanRegistry(container: string): Promise<void> {
  const stored = await storedManifests(container);
  const children = await Promise.all(kept.map(async (digest) => (await manifest(digest))?.manifests ?? []));
  const wanted = new Set([...kept, ...children.flat().map(({ digest }) => digest)]);
  const ours = await Promise.all(stored.map(async (digest) => ((await isOurs(digest)) ? [digest] : [])));
  const old = ours.flat().filter((digest) => !wanted.has(digest));
  for (const digest of old) await request("DELETE", `manifests/${digest}`);
  if (old.length > 0)
    await inRegistry(container, "docker-registry", "garbage-collect", "/etc/docker/registry/config.yml");
}

/** Every manifest in the registry, with and without a tag: its API lists only tags. */
async function storedManifests(container: string): Promise<string[]> {
  const [, ...path] = repository.split("/");
  const folder = `/var/lib/registry/docker/registry/v2/repositories/${path.join("/")}/_manifests/revisions/sha256`;
  const names = await inRegistry(container, "find", "/var/lib/registry", "-path", `${folder}/*`, "-name", "link");
  return [...names.matchAll(/\/([0-9a-f]{64})\/link$/gm)].map(([, digest]) => `sha256:${String(digest)}`);
}

async function inRegistry(container: string, ...command: string[]): Promise<string> {
  return (await execa("docker", ["exec", container, ...command])).stdout;
}

/** Whether an image carries this stack's label: others may push here as well. */
async function isOurs(digest: string): Promise<boolean> {
  const { config, manifests } = (await manifest(digest)) ?? {};
  // A list of images, one for each platform.
  if (manifests?.[0] !== undefined) return isOurs(manifests[0].digest);
  if (config === undefined) return false;
  const image = imageConfig.parse(await (await request("GET", `blobs/${config.digest}`)).json());
  return image.config?.Labels?.[label] === STACK_ID;
}

/** @returns undefined if it was deleted before */
async function manifest(digest: string) {
  const response = await request("GET", `manifests/${digest}`);
  return response.status === 404 ? undefined : manifestOrIndex.parse(await response.json());
}

async function request(method: "GET" | "DELETE", path: string): Promise<Response> {
  const [host = "", ...name] = repository.split("/");
  const response = await fetch(`http://${host}/v2/${name.join("/")}/${path}`, {
    method,
    headers: { Accept: mediaTypes.join(", ") },
  });
  if (response.ok || response.status === 404) return response;
  throw new Error(`the registry answers ${method} ${path} with ${response.status}: ${await response.text()}`);
}
