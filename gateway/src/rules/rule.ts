import type { FastifyReply, FastifyRequest } from "fastify";

/**
 * A check of every request before its body is read. It throws an ApiError, lets the request pass, or answers it itself.
 */
export type Rule = (request: FastifyRequest, reply: FastifyReply) => "answered" | undefined;
