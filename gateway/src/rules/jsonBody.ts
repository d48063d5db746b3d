import { invalidRequest } from "../errors.ts";

/** Deeper than any conversation or schema. An engine's JSON library recurses until its stack overflows. */
const deepest = 64;

/**
 * A request's body, safe for engines and templates.
 * @throws ApiError 400 if it is not UTF-8 or JSON, is nested too deep, or has half of a surrogate pair
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

/** How deep brackets and braces nest outside strings. Not recursive, because the text may be all brackets. */
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

/** `\ud800` alone is not a character: an engine's JSON library throws when it writes it. */
function refuseHalfCharacters(key: string, value: unknown): unknown {
  if (!key.isWellFormed() || (typeof value === "string" && !value.isWellFormed())) {
    throw invalidRequest("The body holds half of a character: a surrogate without its other half.");
  }
  return value;
}
