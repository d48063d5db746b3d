import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { join } from "node:path";
import { execa } from "execa";
import { addressForContainers } from "./net.ts";

/** Downloads of /cut/… end after this many bytes; whoever wants the rest must ask for it. */
const cutAfter = 400_000;

/** A web server that plays the good and the bad ones that a model's URL may point to. */
export interface WebServer {
  /** http(s)://<address>:<port>, which this machine and its containers reach alike. */
  url: string;
  /** The requests so far: "GET /cut/x.gguf bytes=400000-". */
  requests: readonly string[];
  stop(): Promise<void>;
}

interface Certificate {
  key: string;
  cert: string;
}

/**
 * Serves
 * - /status/404 (or any other status), /loop (a redirect to itself), /page (HTML),
 * - /models/<name>: a file, with ranges,
 * - /cut/<name>: the same, with an ETag, but a download breaks off, again and again,
 * - /changing/<name>: the same, and after the download that breaks off it is another file, by its ETag,
 * - /private/<name>: the same, to whoever sends the token.
 */
export async function startWebServer(
  files: Readonly<Record<string, string>>,
  { token = "", tls }: { token?: string; tls?: Certificate } = {},
): Promise<WebServer> {
  const requests: string[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const again = requests.some((earlier) => earlier.split(" ")[1] === request.url);
    requests.push([request.method, request.url, request.headers.range].join(" ").trim());
    answer(request, response, { files, token, again }).catch((error: unknown) => {
      response.destroy(error as Error);
    });
  };
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  server.listen(0, await addressForContainers());
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a web server has no port");
  return {
    url: `${tls === undefined ? "http" : "https"}://${address.address}:${address.port}`,
    requests,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** A certificate for that address, which nobody knows but whoever is given it. @param folder where to write it */
export async function selfSigned(folder: string): Promise<Certificate & { path: string }> {
  const [keyPath, path] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const name = ["-subj", "/CN=test", "-addext", `subjectAltName=IP:${await addressForContainers()}`];
  await execa("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", keyPath, "-out", path, ...name]);
  return { key: await readFile(keyPath, "utf8"), cert: await readFile(path, "utf8"), path };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { files, token, again }: { files: Readonly<Record<string, string>>; token: string; again: boolean },
): Promise<void> {
  const [, kind = "", name = ""] = (request.url ?? "").split("/");
  const file = files[name];
  const refused = kind === "private" && request.headers.authorization !== `Bearer ${token}`;
  if (kind === "status") response.writeHead(Number(name)).end();
  else if (kind === "loop") response.writeHead(302, { location: "/loop" }).end();
  else if (kind === "page") response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><p>Log in");
  else if (refused || file === undefined) response.writeHead(refused ? 401 : 404).end();
  else if (kind === "changing") {
    response.setHeader("etag", again ? '"second"' : '"first"');
    if (request.headers["if-range"] !== '"second"') delete request.headers.range;
    await sendFile(request, response, file, !again);
  } else {
    // Without one nobody may go on from what came before.
    if (kind === "cut") response.setHeader("etag", '"whole"');
    await sendFile(request, response, file, kind === "cut");
  }
}

/** @param cut break off; only where the end is open: whoever asks for a range, and not for all the rest, reads a header */
async function sendFile(request: IncomingMessage, response: ServerResponse, path: string, cut: boolean): Promise<void> {
  const { size } = await stat(path);
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const start = Number(from ?? 0);
  const last = to === undefined || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (start >= size) {
    response.writeHead(416, { "content-range": `bytes */${size}` }).end();
    return;
  }
  response.writeHead(from === undefined ? 200 : 206, {
    "accept-ranges": "bytes",
    "content-length": last - start + 1,
    ...(from === undefined ? {} : { "content-range": `bytes ${start}-${last}/${size}` }),
  });
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  const breakOff = cut && (to === undefined || to === "") && last - start >= cutAfter;
  const content = createReadStream(path, { start, end: breakOff ? start + cutAfter - 1 : last });
  for await (const chunk of content) {
    if (!response.write(chunk)) await once(response, "drain");
  }
  if (breakOff) response.destroy();
  else response.end();
}
