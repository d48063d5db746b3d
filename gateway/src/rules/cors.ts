import type { FastifyRequest } from "fastify";
import { forbidden } from "../errors.ts";
import type { Rule } from "./rule.ts";

/**
 * Web pages of other origins may use the API if they are among the allowed ones. Browsers ask first, without a key
 * (a preflight), which is answered here at once. Some requests they send unasked, and only keep the answer from the page:
 * so these are refused, not just left without a header.
 * @param allowed origins, or `*`
 */
export function cors(allowed: readonly string[]): Rule {
  return (request, reply) => {
    const { origin } = request.headers;
    const mayUse = origin !== undefined && (allowed.includes("*") || allowed.includes(origin));
    if (mayUse) {
      reply.header("access-control-allow-origin", origin).header("vary", "origin");
      reply.header("access-control-expose-headers", "x-request-id, retry-after");
    }
    if (isPreflight(request)) {
      const asked = request.headers["access-control-request-headers"] ?? "authorization, content-type, x-api-key";
      reply.header("access-control-allow-methods", "GET, POST").header("access-control-allow-headers", asked);
      reply.header("access-control-max-age", "86400").code(204).send();
      return "answered";
    }
    if (origin !== undefined && !mayUse && !isOwnPage(request, origin)) {
      throw forbidden(`Web pages of ${JSON.stringify(origin.slice(0, 200))} may not use this API.`);
    }
    return undefined;
  };
}

function isPreflight(request: FastifyRequest): boolean {
  return request.method === "OPTIONS" && request.headers["access-control-request-method"] !== undefined;
}

/** The chat page, which the gateway serves itself. */
function isOwnPage(request: FastifyRequest, origin: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === request.headers.host;
}
