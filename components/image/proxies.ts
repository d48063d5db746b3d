import * as pulumi from "@pulumi/pulumi";

/** Nothing in a build asks its own loopback, and some callers (`npm run up`) add these to what the user has set. */
const loopback = new Set(["localhost", "127.0.0.1", "::1", "[::1]"]);

/**
 * The proxies that this process is told of, as Docker's predefined build arguments: its builder keeps them out of the
 * image, its history and the cache's keys (docs.docker.com/reference/dockerfile, "predefined ARGs"). Of both forms, as
 * curl reads http_proxy only, and other programs read HTTP_PROXY. Nothing where there is no proxy.
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

/** A proxy's address may have a password in it. */
export function secretArgs(args: Readonly<Record<string, string>>): Record<string, pulumi.Output<string>> {
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, pulumi.secret(value)]));
}
