import type { FastifyReply, FastifyRequest } from "fastify";

/**
 * One thing that every request has to satisfy, looked at before its body is read. It throws an ApiError, lets the request
 * pass, or has answered it.
 */
export type Rule = (request: FastifyRequest, reply: FastifyReply) => "answered" | undefined;
