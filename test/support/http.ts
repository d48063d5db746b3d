import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** The body as JSON; undefined if it is not JSON. */
  json: unknown;
}

/** Sends a request to this machine exactly as given: no path is normalised, no header added. */
export async function send(
  { port }: { port: number },
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string | string[]> } = {},
): Promise<Answer> {
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const length = bytes === undefined ? {} : { "content-length": String(bytes.length) };
  return new Promise((resolve, reject) => {
    const options = { port, host: "127.0.0.1", method, path, headers: { ...length, ...headers }, agent: false };
    const request = httpRequest(options, (response) => {
      text(response).then((received) => {
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, body: received, json: parseJson(received) });
      }, reject);
    });
    request.on("error", reject);
    request.end(bytes);
  });
}

/** @returns undefined if it is not JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
