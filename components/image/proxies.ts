import * as pulumi from "@pulumi/pulumi";

/** A build never contacts its own loopback, and some callers (`npm run up`) add these to the user's value. */
const loopback = new Set(["localhost", "127.0.0.1", "::1", "[::1]"]);

/**
 * This process's proxy settings, as Docker's predefined build arguments: the builder keeps them out of the image, its
 * history and the cache keys (docs.docker.com/reference/dockerfile, "predefined ARGs"). In both spellings, because curl
 * reads only http_proxy, and other programs read HTTP_PROXY. Empty without a proxy.
 */
export function proxyArgs(environment: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const valueOf = (name: string) => environment[name] || environment[name.toLowerCase()] || "";
  const direct = valueOf("NO_PROXY")
    .split(",")
    .map((host) => host.trim());
  const proxies = { HTTP_PROXY: valueOf("HTTP_PROXY"), HTTPS_PROXY: valueOf("HTTPS_PROXY") };
  if (Object.values(proxies).every((value) => value === "")) return {};
  const all = { ...proxies, NO_PROXY: direct.filter((host) => !loopback.has(host)).join(",") };
  const given = Object.entries(all).filter(([, value]) => value !== "");
  return Object.fromEntries(
    given.flatMap(([name, value]) => [
      [name, value],
      [name.toLowerCase(), value],
    ]),
  );
}

/** A proxy's address may contain a password. */
export function secretArgs(args: Readonly<Record<string, string>>): Record<string, pulumi.Output<string>> {
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, pulumi.secret(value)]));
}
