import type { FastifyReply, FastifyRequest } from "fastify";
import type { UpstreamClient } from "./upstream/client.ts";

/** The headers of the engine's answer that reach the browser. */
const keptHeaders = ["content-type", "content-encoding", "cross-origin-embedder-policy", "cross-origin-opener-policy"];

/** How long a file of the page is cached, in ms: an update may bring another engine. */
const keptFor = 10_000;

interface File {
  headers: Readonly<Record<string, string>>;
  bytes: Buffer;
}

/**
 * The engine's own chat page and its files, at the paths that routes.ts knows. The page needs no key and has 2 MB, so all
 * concurrent readers, however slow, share the same bytes.
 */
export function chatPage(client: UpstreamClient) {
  const kept = new Map<string, { until: number; file: Promise<File> }>();
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { file: name = "" } = request.params as { file?: string };
    // The page is packed, and llama-server refuses whoever does not say that it can unpack it.
    const encoding = request.headers["accept-encoding"]?.includes("gzip") === true ? "gzip" : "identity";
    const key = `${encoding} ${name}`;
    let found = kept.get(key);
    if (found === undefined || found.until < Date.now()) {
      found = { until: Date.now() + keptFor, file: fetchFile(client, name, encoding) };
      kept.set(key, found);
      found.file.catch(() => kept.delete(key));
    }
    const { headers, bytes } = await found.file;
    return reply.headers({ ...headers, "cache-control": "no-cache" }).send(bytes);
  };
}

async function fetchFile(client: UpstreamClient, name: string, encoding: string): Promise<File> {
  const { headers, body } = await client.request(`/${name}`, { headers: { "accept-encoding": encoding } });
  const given = keptHeaders.flatMap((header) => {
    const value = headers[header];
    return typeof value === "string" ? [[header, value] as const] : [];
  });
  return { headers: Object.fromEntries(given), bytes: Buffer.from(await body.arrayBuffer()) };
}
