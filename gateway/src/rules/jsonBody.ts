import { invalidRequest } from "../errors.ts";

/** Deeper than any conversation or schema is; an engine's JSON library recurses until its stack ends. */
const deepest = 64;

/**
 * A request's body, as engines and templates can bear it.
 * @throws ApiError 400: no UTF-8, nested too deep, no JSON, or half of a character
 */
export function parseJson(bytes: Buffer): unknown {
  const text = decode(bytes);
  if (nestingOf(text) > deepest) throw invalidRequest(`The body is nested deeper than ${deepest} levels.`);
  try {
    return JSON.parse(text, refuseHalfCharacters) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) throw invalidRequest("The body is not valid JSON.");
    throw error;
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalidRequest("The body is not valid UTF-8.");
  }
}

/** How deep brackets and braces go, outside strings. Without recursion: the text may be nothing but brackets. */
function nestingOf(text: string): number {
  let depth = 0;
  let largest = 0;
  for (const [match] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[[\]{}]/gs)) {
    if (match === "[" || match === "{") largest = Math.max(largest, ++depth);
    if (match === "]" || match === "}") depth--;
    if (largest > deepest) break;
  }
  return largest;
}

/** `\ud800` alone is no character: an engine's JSON library throws when it writes it. */
function refuseHalfCharacters(key: string, value: unknown): unknown {
  if (!key.isWellFormed() || (typeof value === "string" && !value.isWellFormed())) {
    throw invalidRequest("The body holds half of a character: a surrogate without its other half.");
  }
  return value;
}
