/** This machine itself; IPv6's loopback as Go and curl write it, and as Node does. */
const loopback = ["localhost", "127.0.0.1", "::1", "[::1]"];

/**
 * The variables that make Node use the user's proxy (HTTP_PROXY, HTTPS_PROXY), except for this machine, because no proxy
 * reaches our load balancer.
 * @param {NodeJS.ProcessEnv} env the user's
 * @returns {Record<"NODE_USE_ENV_PROXY" | "NO_PROXY" | "no_proxy", string>} what to add to it
 */
export function proxyVariables(env) {
  // Programs read either of the two names, some of them this one first.
  const direct = (env.no_proxy || env.NO_PROXY || "").split(",").map((host) => host.trim());
  const without = [...new Set([...direct.filter((host) => host !== ""), ...loopback])].join(",");
  return { NODE_USE_ENV_PROXY: env.NODE_USE_ENV_PROXY ?? "1", NO_PROXY: without, no_proxy: without };
}
