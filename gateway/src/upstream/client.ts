import { Pool, type Dispatcher } from "undici";
import { z } from "zod";
import { ApiError, engineFailed, invalidRequest, notFound, overloaded, unavailable } from "../errors.ts";

type Body = Dispatcher.ResponseData["body"];

/** Seconds for what an engine does at once, between two steps of an answer: /tokenize, /props, … */
const quick = 20;

export interface UpstreamAnswer {
  headers: Dispatcher.ResponseData["headers"];
  body: Body;
}

export interface RequestOptions {
  /** In JSON; without one it is a GET. */
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
  /** Seconds until the answer has begun. */
  patience?: number;
}

/** The HTTP connection to the engines. Its paths are the gateway's own: no client's path gets there. */
export class UpstreamClient {
  private readonly pool: Pool;

  constructor(url: string) {
    this.pool = new Pool(url, {
      connect: { timeout: 5_000 },
      // How long a stream may be silent is decided where its events are read.
      bodyTimeout: 0,
      // Less than whoever answers keeps an idle connection: HAProxy 10 s, llama-server 5 s.
      keepAliveTimeout: 2_000,
      keepAliveMaxTimeout: 4_000,
    });
  }

  /**
   * @returns an answer of 200; its body has to be read or destroyed
   * @throws ApiError for every other
   */
  async request(path: string, options: RequestOptions) {
    const { body, headers, signal, patience = quick } = options;
    const response = await this.pool
      .request({
        path,
        method: body === undefined ? "GET" : "POST",
        headersTimeout: patience * 1000,
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        body: body === undefined ? null : JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      })
      .catch((error: unknown) => {
        throw connectionError(error);
      });
    if (response.statusCode !== 200) throw await answerError(response);
    return { headers: response.headers, body: response.body } satisfies UpstreamAnswer;
  }

  /** A small answer in JSON. */
  async json<T>(schema: z.ZodType<T>, path: string, options: RequestOptions = {}): Promise<T> {
    const { body } = await this.request(path, options);
    const parsed = schema.safeParse(await body.json().catch(connectionLost));
    if (!parsed.success) throw engineFailed(`The engine's answer to ${path} is not what was expected.`);
    return parsed.data;
  }

  async close(): Promise<void> {
    await this.pool.close();
  }
}

/** No connection: nothing was begun, so another try may succeed. A connection that ends early: the engine failed. */
function connectionError(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (error instanceof Error && error.name === "AbortError") return error;
  if (code === "ECONNREFUSED" || code === "UND_ERR_CONNECT_TIMEOUT" || code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return unavailable("No engine is ready; try again in a few seconds.", error);
  }
  if (code === "UND_ERR_HEADERS_TIMEOUT") return engineFailed("The engine did not answer in time.", error);
  return engineFailed("The engine ended the connection before it answered.", error);
}

function connectionLost(error: unknown): never {
  throw connectionError(error);
}

const engineError = z.object({ error: z.object({ message: z.string(), code: z.number().optional() }) });

async function answerError({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<ApiError> {
  const text = await body.text().catch(() => "");
  const retryAfter = Number(headers["retry-after"] ?? 5);
  if (statusCode === 429)
    return overloaded("All engines are busy and many requests wait; try again later.", retryAfter);
  if (statusCode === 404) return notFound("The engine has nothing at this path.", "unknown_url");
  if (statusCode === 503)
    return unavailable("No engine is ready, or none became free in time; try again in a few seconds.");
  return engineErrorOf(text, statusCode);
}

/** What an engine's error, with this body, is to the client. */
export function engineErrorOf(text: string, status?: number): ApiError {
  const error = parseError(text);
  const code = error?.code ?? status;
  if (error !== undefined && code === 400) return invalidRequest(`The engine refuses the request: ${error.message}`);
  if (code === 503) return unavailable("No engine is ready; try again in a few seconds.");
  return engineFailed("The engine failed to answer the request.");
}

function parseError(text: string): { message: string; code?: number | undefined } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return engineError.safeParse(value).data?.error ?? engineError.shape.error.safeParse(value).data;
  } catch {
    return undefined;
  }
}
