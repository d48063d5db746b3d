import { ApiError } from "../errors.ts";
import type { Rule } from "./rule.ts";

/**
 * More than any client sends; HAProxy accepts 1,000 (docker/load-balancer/haproxy.cfg). Node silently drops any beyond its
 * limit.
 */
const mostHeaders = 101;

export const refuseManyHeaders: Rule = (request) => {
  if (request.raw.rawHeaders.length / 2 <= mostHeaders) return undefined;
  const message = `A request may have up to ${mostHeaders} headers.`;
  throw new ApiError(431, { message, type: "invalid_request_error" }, { connection: "close" });
};

/** Bodies are never decompressed: a few bytes could become gigabytes. */
export const refuseCompression: Rule = (request) => {
  const encoding = request.headers["content-encoding"];
  if (encoding === undefined || encoding === "identity") return undefined;
  const message = "Send the body without a content-encoding: compressed requests are not read.";
  throw new ApiError(415, { message, type: "invalid_request_error" }, { connection: "close" });
};
