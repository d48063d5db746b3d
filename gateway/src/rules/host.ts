import { forbidden } from "../errors.ts";
import type { Rule } from "./rule.ts";

/**
 * The name under which the gateway was reached must be one of its own. A web page can have its own name point to
 * 127.0.0.1 (DNS rebinding), and to the browser the API is then part of that page.
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
