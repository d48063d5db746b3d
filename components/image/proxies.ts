import * as pulumi from "@pulumi/pulumi";

const names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/**
 * The proxies that this process is told of, as Docker's predefined build arguments: its builder keeps them out of the
 * image, its history and the cache's keys (docs.docker.com/reference/dockerfile, "predefined ARGs"). Of both forms, as
 * curl reads http_proxy only, and other programs read HTTP_PROXY.
 */
export function proxyArgs(environment: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const given = names.flatMap((name) => {
    const value = environment[name] ?? environment[name.toLowerCase()] ?? "";
    return value === "" ? [] : [[name, value] as const, [name.toLowerCase(), value] as const];
  });
  return Object.fromEntries(given);
}

/** A proxy's address may have a password in it. */
export function secretArgs(args: Readonly<Record<string, string>>): Record<string, pulumi.Output<string>> {
  return Object.fromEntries(Object.entries(args).map(([name, value]) => [name, pulumi.secret(value)]));
}
