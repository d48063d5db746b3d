import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { AuthConfig } from "dockerode";

/** A reference to an image, taken apart. */
export interface Reference {
  /** The registry's host and port; undefined for what has none, which means Docker Hub. */
  readonly registry?: string;
  /** Registry and path, without tag and digest. */
  readonly repository: string;
  readonly tag?: string;
}

/** "localhost:5000/a/b:tag@sha256:…" taken apart. */
export function parseReference(image: string): Reference {
  const [named = image] = image.split("@");
  const [, repository = named, tag] = /^(.*?)(?::([^:/]+))?$/.exec(named) ?? [];
  const [first = "", ...rest] = repository.split("/");
  const registry = rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : undefined;
  return { repository, ...(registry && { registry }), ...(tag && { tag }) };
}

/** The credentials that `docker login` has left for this registry, if any; credential helpers are not asked. */
export async function storedAuth(registry: string): Promise<AuthConfig | undefined> {
  const file = join(process.env["DOCKER_CONFIG"] ?? join(homedir(), ".docker"), "config.json");
  const text = await readFile(file, "utf8").catch(() => "{}");
  const { auths = {} } = JSON.parse(text) as { auths?: Record<string, { auth?: string }> };
  const [, found] =
    Object.entries(auths).find(([key]) => key.replace(/^https?:\/\//, "").split("/")[0] === registry) ?? [];
  if (!found?.auth) return undefined;
  const [username = "", password = ""] = Buffer.from(found.auth, "base64").toString("utf8").split(/:(.*)/s, 2);
  return { username, password, serveraddress: registry };
}
