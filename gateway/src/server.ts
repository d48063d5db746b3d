import { setTimeout as sleep } from "node:timers/promises";
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { logRequest, type Ending } from "./accessLog.ts";
import { newAccount } from "./account.ts";
import { Answering } from "./answering.ts";
import type { Config } from "./config.ts";
import { Endpoints } from "./endpoints.ts";
import { ApiError, clientLeft, type ErrorBody } from "./errors.ts";
import { EmbeddedMetrics } from "./emf.ts";
import { Metrics } from "./metrics.ts";
import { chatPage } from "./page.ts";
import { Prompts } from "./prompt/prompts.ts";
import { admission } from "./rules/admission.ts";
import { cors } from "./rules/cors.ts";
import { refuseCompression, refuseManyHeaders } from "./rules/headers.ts";
import { checkHost } from "./rules/host.ts";
import { parseJson } from "./rules/jsonBody.ts";
import { checkKey } from "./rules/keys.ts";
import { normalPath, nothingAt } from "./rules/paths.ts";
import { nameRequest } from "./rules/requestId.ts";
import type { Rule } from "./rules/rule.ts";
import { answerMalformed } from "./malformed.ts";
import { routes, type Route } from "./routes.ts";
import { UpstreamClient } from "./upstream/client.ts";
import { Engine } from "./upstream/engine.ts";
import { Model } from "./upstream/model.ts";

export interface Gateway {
  api: FastifyInstance;
  metrics: Metrics;
  /** Says by /health that it stops, then takes no new connections, and ends when the last answer has. */
  stop: () => Promise<void>;
}

/** The gateway, not yet listening: its parts, in the order in which a request passes them. */
export function createGateway(config: Config, log: Logger): Gateway {
  const client = new UpstreamClient(config.upstreamUrl);
  const metrics = new Metrics(config.model);
  const whenFailed = errorHandling(log);
  const engine = new Engine(client, config);
  const answering = new Answering(engine, metrics, config.heartbeat, whenFailed);
  const endpoints = new Endpoints(config, new Prompts(new Model(client, config), config), answering);
  const table = routes(endpoints, chatPage(client));

  /** In this order, before the body is read. */
  const rules: readonly Rule[] = [
    nameRequest,
    refuseManyHeaders,
    checkHost(config.allowedHosts),
    cors(config.corsOrigins),
    checkKey(config.keys),
    refuseCompression,
    admission(config.keys, config.maxRequests),
  ];

  const api = newServer(config);
  const embedded = addEmbeddedMetrics(api, config, metrics);
  addRules(api, rules, (request, ending) => {
    metrics.record(request.account, ending);
    embedded?.record(request.account, ending);
    if (ending.endpoint !== "/health") logRequest(log, request.account, ending);
  });
  addErrorHandler(api, whenFailed);
  addRoutes(api, table);
  api.addHook("onClose", () => client.close());
  const stop = async () => {
    endpoints.stopping = true;
    await sleep(config.drainDelay * 1000);
    await api.close();
  };
  return { api, metrics, stop };
}

function addEmbeddedMetrics(api: FastifyInstance, { embeddedMetrics, slots }: Config, { requests }: Metrics) {
  if (embeddedMetrics === undefined) return undefined;
  const embedded = new EmbeddedMetrics({ ...embeddedMetrics, slots, requests, write: console.log });
  const stop = embedded.start();
  api.addHook("onClose", stop);
  return embedded;
}

function newServer({ bodyLimit }: Config): FastifyInstance {
  const api = Fastify({
    bodyLimit,
    rewriteUrl: ({ url }) => normalPath(url ?? "/"),
    clientErrorHandler: answerMalformed,
    // HAProxy has waited for the body already, and keeps its connections for two minutes.
    requestTimeout: 60_000,
    keepAliveTimeout: 125_000,
    // While it stops, the gateway still answers what it is given; the connection then ends.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 300 },
    // A path with a broken percent sign, which no route can be asked about.
    frameworkErrors: (_error, request, reply: FastifyReply) => {
      const { status, body } = nothingAt(request.method, request.url, new Map());
      void reply.code(status).send({ error: body });
    },
  });
  api.decorateRequest("account");
  api.removeAllContentTypeParsers();
  // Whatever the body says it is: it is JSON, or wrong.
  api.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => {
    try {
      done(null, parseJson(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  return api;
}

/** @param whenOver called with how each request ended, even if its client left */
function addRules(
  api: FastifyInstance,
  rules: readonly Rule[],
  whenOver: (request: FastifyRequest, ending: Ending) => void,
): void {
  api.addHook("onRequest", async (request, reply) => {
    reply.raw.once("close", () => {
      const status = reply.raw.writableFinished ? reply.statusCode : 499;
      whenOver(request, { method: request.method, endpoint: request.routeOptions.url ?? "none", status });
    });
    for (const rule of rules) if (rule(request, reply) === "answered") return reply;
  });
}

function addErrorHandler(api: FastifyInstance, whenFailed: WhenFailed): void {
  api.setErrorHandler((error: FastifyError, request, reply) => {
    const { status, headers, body } = whenFailed(request, error);
    const isAnthropics = request.url.startsWith("/v1/messages");
    return reply
      .code(status)
      .headers(headers)
      .send(isAnthropics ? anthropicsForm(body) : { error: body });
  });
}

function addRoutes(api: FastifyInstance, table: readonly Route[]): void {
  for (const { method, path, handler, ...rest } of table) {
    api.route({ method, url: path, handler, config: rest });
  }
  const methods = new Map(table.map(({ path }) => [path, methodsOf(path, table)]));
  api.setNotFoundHandler((request) => {
    throw nothingAt(request.method, request.url, methods);
  });
}

function methodsOf(path: string, table: readonly Route[]): string[] {
  return table.filter((route) => route.path === path).map(({ method }) => String(method));
}

/** Turns an error into the response for the client. */
type WhenFailed = (request: FastifyRequest, error: unknown) => ApiError;

/** The gateway's own faults, and why an engine gave no answer, go to the log, without the client's text. */
function errorHandling(log: Logger): WhenFailed {
  return (request, error) => {
    const found = asApiError(error);
    // A request that is no request, such as one with a broken path, met no rule.
    (request.account as typeof request.account | undefined) ??= newAccount("none");
    request.account.error = found.body.code ?? found.body.type;
    if (found.status === 500) {
      const stack = error instanceof Error ? error.stack : String(error);
      log.error({ requestId: request.account.id, stack }, "the gateway failed");
    }
    if (found.cause instanceof Error) {
      // Its name, as a message may quote the engine's answer.
      const { code, name } = found.cause as NodeJS.ErrnoException;
      log.warn({ requestId: request.account.id, cause: code ?? name }, "the engine failed to answer");
    }
    return found;
  };
}

/** Clients of /v1/messages, which is not supported, read errors in Anthropic's form. */
function anthropicsForm({ message, type }: ErrorBody) {
  return { type: "error", error: { type: type === "invalid_request_error" ? "not_found_error" : type, message } };
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof Error && error.name === "AbortError") return clientLeft();
  const { statusCode = 500, message = "" } = error as Partial<FastifyError>;
  if (statusCode === 413) {
    // The connection stays: a client that is cut off while it sends never reads why.
    const headers = { connection: "keep-alive" };
    return new ApiError(413, { message: "The request is too large.", type: "invalid_request_error" }, headers);
  }
  if (statusCode < 500) return new ApiError(statusCode, { message, type: "invalid_request_error" });
  return new ApiError(500, { message: "The gateway failed to handle the request.", type: "server_error" });
}
