import { z } from "zod";
import { invalidRequest } from "../errors.ts";

/**
 * @returns the fields of a request's body that the schema knows; all others are dropped
 * @throws ApiError 400 that names the first invalid field
 */
export function validate<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path ?? [];
  const problem = (issue?.message ?? "is not valid").replace(/^Invalid input: /, "");
  if (path.length === 0) throw invalidRequest(`The body is not valid: ${problem}.`);
  throw invalidRequest(`Invalid value for '${pathText(path)}': ${problem}.`, String(path[0]));
}

/** messages[0].role */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) => (typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${String(step)}`))
    .join("");
}
