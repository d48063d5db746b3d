/** The field `error` of an error response, as OpenAI's clients read it. */
export interface ErrorBody {
  message: string;
  type: string;
  /** The request's field that is wrong. */
  param: string | null;
  /** For programs: `context_length_exceeded`, `invalid_api_key`, … */
  code: string | null;
}

/** An error response in OpenAI's form. Anything else that is thrown is the gateway's own fault: 500. */
export class ApiError extends Error {
  readonly status: number;
  readonly body: ErrorBody;
  readonly headers: Readonly<Record<string, string>>;

  /** @param cause for the log, never for the client */
  constructor(
    status: number,
    body: Partial<ErrorBody> & { message: string; type: string },
    headers = {},
    cause?: unknown,
  ) {
    super(body.message, { cause });
    this.status = status;
    this.body = { param: null, code: null, ...body };
    this.headers = headers;
  }
}

/** A mistake of the client: 400. */
export function invalidRequest(message: string, param: string | null = null, code: string | null = null): ApiError {
  return new ApiError(400, { message, type: "invalid_request_error", param, code });
}

export function unauthorized(message: string): ApiError {
  return new ApiError(
    401,
    { message, type: "authentication_error", code: "invalid_api_key" },
    // The body is not read: the connection cannot be used again.
    { "www-authenticate": "Bearer", connection: "close" },
  );
}

export function forbidden(message: string): ApiError {
  return new ApiError(403, { message, type: "permission_error" }, { connection: "close" });
}

export function notFound(message: string, code: string | null = null, param: string | null = null): ApiError {
  return new ApiError(404, { message, type: "invalid_request_error", code, param });
}

/** Overload: 429. The official clients retry after the given time, in seconds. */
export function overloaded(message: string, retryAfter: number, code = "overloaded", headers = {}): ApiError {
  const type = code === "rate_limit_exceeded" ? "rate_limit_error" : "overloaded_error";
  return new ApiError(429, { message, type, code }, { "retry-after": String(retryAfter), ...headers });
}

/** No engine could be reached: 503. */
export function unavailable(message: string, cause?: unknown): ApiError {
  return new ApiError(503, { message, type: "server_error", code: "unavailable" }, { "retry-after": "5" }, cause);
}

/** An engine failed to answer: 502. */
export function engineFailed(message: string, cause?: unknown): ApiError {
  return new ApiError(502, { message, type: "server_error", code: "engine_failed" }, { "retry-after": "1" }, cause);
}

/** Only for the log: no client receives it. */
export function clientLeft(): ApiError {
  return new ApiError(499, { message: "The client left.", type: "client_left" });
}
