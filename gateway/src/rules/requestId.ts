import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import { newAccount } from "../account.ts";
import type { Rule } from "./rule.ts";

/** Safe in the logs and headers of other programs. */
const acceptable = /^[A-Za-z0-9._:-]{1,128}$/;

/** Takes the client's x-request-id or generates one, for the answer and the log. */
export const nameRequest: Rule = (request, reply) => {
  const given = request.headers["x-request-id"];
  const id = typeof given === "string" && acceptable.test(given) ? given : `req_${randomUUID().replaceAll("-", "")}`;
  request.account = newAccount(id, addressIn(request.headers["x-forwarded-for"]));
  reply.header("x-request-id", id);
  return undefined;
};

/** HAProxy replaces the header by the client's address alone: docker/load-balancer/haproxy.cfg. */
function addressIn(forwardedFor: string | string[] | undefined): string | undefined {
  return typeof forwardedFor === "string" && isIP(forwardedFor) !== 0 ? forwardedFor : undefined;
}
