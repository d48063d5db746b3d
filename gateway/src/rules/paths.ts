import { ApiError, notFound } from "../errors.ts";

/**
 * The path that a request is routed by, without the doubled and trailing slashes that base URLs often cause. Dots and percent
 * signs stay: no route of the gateway has any, and no client's path reaches an engine.
 */
export function normalPath(url: string): string {
  const [path = "", ...query] = url.split("?");
  const plain = path.replace(/\/{2,}/g, "/").replace(/(?<=.)\/$/, "");
  return [plain, ...query].join("?");
}

/** OpenAI's endpoints that this service does not have. */
const notOffered: Readonly<Record<string, string>> = {
  "/v1/embeddings": "No embeddings are offered: the model was made to write.",
  "/v1/responses": "The responses API is not offered; use /v1/chat/completions.",
  "/v1/messages": "Anthropic's messages API is not offered; use OpenAI's, at /v1/chat/completions.",
  "/v1/images/generations": "No images are offered: the model writes text.",
  "/v1/audio/transcriptions": "No audio is offered: the model reads and writes text.",
  "/v1/moderations": "No moderation is offered.",
};

/**
 * Explains why there is nothing at a path.
 * @param methods the methods that each existing path accepts
 */
export function nothingAt(method: string, url: string, methods: ReadonlyMap<string, readonly string[]>): ApiError {
  const path = url.split("?")[0] ?? "";
  const allowed = methods.get(path);
  if (allowed !== undefined) {
    const message = `${method} is not allowed here; use ${allowed.join(" or ")}.`;
    return new ApiError(405, { message, type: "invalid_request_error" }, { allow: allowed.join(", ") });
  }
  if (methods.has(`/v1${path}`)) {
    return notFound(
      `There is no ${path}; the API is at /v1${path}. Clients want a base URL that ends in /v1.`,
      "unknown_url",
    );
  }
  return notFound(notOffered[path] ?? "There is no such endpoint. The API is at /v1/chat/completions.", "unknown_url");
}
