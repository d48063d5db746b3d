import type { FastifyRequest } from "fastify";
import type { ApiKey } from "../config.ts";
import { overloaded } from "../errors.ts";
import { KeyUse } from "./keyLimits.ts";
import type { Rule } from "./rule.ts";

/** Limits the number of requests, in total and per key. A request releases what it took when its answer has ended. */
export function admission(keys: readonly ApiKey[], mostRequests: number): Rule {
  const uses = new Map(keys.map((key) => [key.name, new KeyUse(key)]));
  let requests = 0;
  return (request, reply) => {
    if (request.routeOptions.config.asksEngine !== true) return undefined;
    if (requests >= mostRequests) throw overloaded("Many requests wait already; try again later.", 30);
    const use = uses.get(request.account.key?.name ?? "");
    use?.begin();
    requests++;
    reply.headers(use?.headers() ?? {});
    reply.raw.once("close", () => {
      requests--;
      use?.end(tokensOf(request));
    });
    return undefined;
  };
}

function tokensOf({ account }: FastifyRequest): number {
  return account.promptTokens + account.completionTokens;
}
