import type { FastifyReply, FastifyRequest } from "fastify";
import type { UpstreamClient } from "./upstream/client.ts";

/** What of the engine's answer reaches the browser. */
const keptHeaders = ["content-type", "content-encoding", "cross-origin-embedder-policy", "cross-origin-opener-policy"];

/** The engine's own chat page and its files, which a path that routes.ts knows names. */
export function chatPage(client: UpstreamClient) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { file = "" } = request.params as { file?: string };
    // The page is packed, and llama-server refuses whoever does not say that it can unpack it.
    const { "accept-encoding": encoding = "identity" } = request.headers;
    const { headers, body } = await client.request(`/${file}`, { headers: { "accept-encoding": encoding } });
    for (const name of keptHeaders) {
      const value = headers[name];
      if (value !== undefined) reply.header(name, value);
    }
    return reply.header("cache-control", "no-cache").send(Buffer.from(await body.arrayBuffer()));
  };
}
