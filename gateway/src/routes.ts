import type { HTTPMethods, RouteHandlerMethod } from "fastify";
import type { Endpoints } from "./endpoints.ts";

export interface Route {
  method: HTTPMethods;
  path: string;
  handler: RouteHandlerMethod;
  /** Needs no key. */
  isPublic?: boolean;
  /** Asks the engine: limits apply. */
  asksEngine?: boolean;
}

/** A file of the chat page: a plain name without a folder. */
const pageFile = "/:file(^[A-Za-z0-9_-]+\\.(?:html|js|mjs|css|ico|svg|png|webmanifest)$)";

/** All routes. */
export function routes(endpoints: Endpoints, page: RouteHandlerMethod): readonly Route[] {
  return [
    { method: "POST", path: "/v1/chat/completions", handler: endpoints.chat, asksEngine: true },
    { method: "POST", path: "/v1/completions", handler: endpoints.completion, asksEngine: true },
    { method: "GET", path: "/v1/models", handler: endpoints.models },
    { method: "GET", path: "/v1/models/*", handler: endpoints.modelNamed },
    { method: "POST", path: "/completion", handler: endpoints.pageCompletion, asksEngine: true },
    { method: "GET", path: "/props", handler: endpoints.props, isPublic: true },
    { method: "GET", path: "/v1/props", handler: endpoints.props, isPublic: true },
    { method: "GET", path: "/", handler: page, isPublic: true },
    { method: "GET", path: pageFile, handler: page, isPublic: true },
    { method: "GET", path: "/health", handler: endpoints.health, isPublic: true },
  ];
}
