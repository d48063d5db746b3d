import { z } from "zod";

/** An image in a registry, by the digest of its manifest: REGISTRY/REPOSITORY@sha256:… */
export interface ImageReference {
  registry: string;
  repository: string;
  digest: string;
}

export interface Login {
  username: string;
  password: string;
}

/** @param image a value of the setting of that name */
export function parseReference(image: string): ImageReference {
  const [, registry = "", repository = "", digest = ""] = /^([^/]+)\/([^@]+)@(.+)$/.exec(image) ?? [];
  return { registry, repository, digest };
}

/** The private ECR registry that it is in. Undefined: it is in another registry. */
export function ecrOf({ registry }: ImageReference): { account: string; region: string } | undefined {
  const [, account, region] = /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(registry) ?? [];
  return account === undefined || region === undefined ? undefined : { account, region };
}

/** The ARN of its repository, if that is in ECR: for the policy of whoever pulls it. */
export function repositoryArnOf(reference: ImageReference, partition: string): string | undefined {
  const ecr = ecrOf(reference);
  return ecr && `arn:${partition}:ecr:${ecr.region}:${ecr.account}:repository/${reference.repository}`;
}

/** The registries' answers: github.com/opencontainers/image-spec, manifest.md, image-index.md and config.md. */
const platform = z.object({ os: z.string(), architecture: z.string() });
const document = z.object({
  manifests: z.array(z.object({ platform: platform.optional() })).optional(),
  config: z.object({ digest: z.string() }).optional(),
});
const mediaTypes = ["vnd.oci.image.index.v1", "vnd.oci.image.manifest.v1"].map((type) => `application/${type}+json`);
const dockerTypes = ["manifest.list.v2", "manifest.v2"].map(
  (type) => `application/vnd.docker.distribution.${type}+json`,
);

/**
 * The platforms that an image is for, such as linux/amd64; for an index, all of its platforms.
 * @param login undefined: anyone may pull from the registry
 * @throws Error with the registry's message
 */
export async function platformsOf(reference: ImageReference, login: Login | undefined): Promise<string[]> {
  const { manifests, config } = document.parse(await read(reference, `manifests/${reference.digest}`, login));
  const platforms =
    manifests === undefined
      ? [platform.parse(await read(reference, `blobs/${config?.digest ?? ""}`, login))]
      : manifests.flatMap((manifest) => manifest.platform ?? []);
  // Buildx lists an image's attestations next to it, as unknown/unknown.
  return platforms.filter(({ os }) => os !== "unknown").map(({ os, architecture }) => `${os}/${architecture}`);
}

async function read({ registry, repository }: ImageReference, path: string, login?: Login): Promise<unknown> {
  const url = `${schemeOf(registry)}://${apiOf(registry)}/v2/${repository}/${path}`;
  const basic = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
  let response = await get(url, basic);
  if (response.status === 401 && login === undefined) response = await get(url, await anonymousToken(response));
  if (!response.ok) throw new Error(`the registry answers ${response.status} to a request for its ${path}`);
  return response.json();
}

/** Timeout for a registry's answer, in milliseconds. */
const timeout = 20_000;

async function get(url: string, authorization: string | undefined): Promise<Response> {
  const accept = [...mediaTypes, ...dockerTypes].join(", ");
  const headers = { accept, ...(authorization === undefined ? {} : { authorization }) };
  return fetch(url, { headers, signal: AbortSignal.timeout(timeout) });
}

/** Public registries require a token, too: distribution.github.io/distribution/spec/auth/token */
async function anonymousToken(refusal: Response): Promise<string | undefined> {
  const challenge = refusal.headers.get("www-authenticate") ?? "";
  const { realm, ...query } = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
  );
  if (!challenge.startsWith("Bearer ") || realm === undefined) return undefined;
  const response = await get(`${realm}?${new URLSearchParams(query).toString()}`, undefined);
  const { token, access_token } = z
    .object({ token: z.string().optional(), access_token: z.string().optional() })
    .parse(await response.json());
  return `Bearer ${token ?? access_token ?? ""}`;
}

/** Like Docker, we use plain HTTP for a registry on loopback. */
function schemeOf(registry: string): string {
  return /^(127\.|localhost(:|$))/.test(registry) ? "http" : "https";
}

/** Docker Hub's API has another host than the one in its images' names. */
function apiOf(registry: string): string {
  return registry === "docker.io" ? "registry-1.docker.io" : registry;
}
