import { createServer } from "node:http";
import type { IncomingMessage, RequestListener } from "node:http";

export interface WebServer {
  /** Without a slash at the end. */
  url: string;
  /** The requests so far. */
  requests: IncomingMessage[];
  close: () => Promise<void>;
}

/** A web server on a free port of this machine's loopback. */
export async function startWebServer(listener: RequestListener): Promise<WebServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    listener(request, response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server listens on no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    close: () =>
      new Promise((done) => {
        server.close(() => {
          done();
        });
        server.closeAllConnections();
      }),
  };
}

/** Answers a range request (`bytes=from-last`) from memory, as file servers do. */
export function serveRange(bytes: Buffer): RequestListener {
  return ({ headers }, response) => {
    const [, from = 0, last = bytes.length - 1] = (/^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? []).map(Number);
    if (from >= bytes.length) {
      response.writeHead(416, { "Content-Range": `bytes */${bytes.length}` }).end();
      return;
    }
    const part = bytes.subarray(from, last + 1);
    const range = `bytes ${from}-${from + part.length - 1}/${bytes.length}`;
    response.writeHead(206, { "Content-Range": range, "Content-Length": part.length }).end(part);
  };
}
