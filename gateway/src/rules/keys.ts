import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { ApiKey } from "../config.ts";
import { unauthorized } from "../errors.ts";
import type { Rule } from "./rule.ts";

/** Admits requests with one of the keys; without keys, all requests. */
export function checkKey(keys: readonly ApiKey[]): Rule {
  return (request) => {
    if (keys.length === 0 || request.routeOptions.config.isPublic === true) return undefined;
    const given = presentedKey(request.headers);
    if (given === undefined) {
      throw unauthorized("You did not provide an API key. Send it as: Authorization: Bearer KEY");
    }
    request.account.key = keyOf(given, keys);
    if (request.account.key === undefined) throw unauthorized("Incorrect API key provided.");
    return undefined;
  };
}

/** `Authorization: Bearer KEY`, the scheme in any case, or `x-api-key: KEY`. */
function presentedKey(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1];
  const header = headers["x-api-key"];
  return bearer ?? (typeof header === "string" ? header : undefined);
}

/** Compares with all keys, each in constant time, so that the duration reveals nothing. */
function keyOf(given: string, keys: readonly ApiKey[]): ApiKey | undefined {
  const digest = createHash("sha256").update(given).digest();
  return keys.filter(({ sha256 }) => timingSafeEqual(digest, Buffer.from(sha256, "hex")))[0];
}
