import { forbidden } from "../errors.ts";
import type { Rule } from "./rule.ts";

/**
 * The host name of a request must be one of the gateway's own. Otherwise a web page could point its own name to 127.0.0.1 (DNS
 * rebinding), and the browser would take the API for part of that page.
 * @param allowed names without a port, or `*`
 */
export function checkHost(allowed: readonly string[]): Rule {
  return (request) => {
    if (allowed.includes("*") || request.routeOptions.url === "/health") return undefined;
    const name = (request.headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
    if (!allowed.includes(name)) throw forbidden(`The API is not served under the name ${JSON.stringify(name)}.`);
    return undefined;
  };
}
