/** Writes docs/api.md from the gateway's schemas: `npm run docs`. A unit test says when that was forgotten. */
import { writeFileSync } from "node:fs";
import { z } from "zod";
import { chatCompletions } from "../gateway/src/contract/chatCompletions.ts";
import { completions } from "../gateway/src/contract/completions.ts";
import type { FieldNotes } from "../gateway/src/contract/fields.ts";
import { pageCompletion } from "../gateway/src/contract/pageCompletion.ts";

/** What JSON Schema says of a field, as far as ranges go. */
interface Range {
  type?: string | readonly string[];
  const?: unknown;
  enum?: readonly unknown[];
  anyOf?: readonly Range[];
  oneOf?: readonly Range[];
  items?: Range;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
}

/** The reference as Markdown: a table for each endpoint, a row for each field. */
export function apiReference(): string {
  // "Up to PARALLEL": as many as one replica answers at once.
  const slots = Number.MAX_SAFE_INTEGER;
  return `# API

<!-- Written by \`npm run docs\` from gateway/src/contract/. -->

OpenAI's API, at \`…/v1\`. Fields that are not listed here are dropped. A wrong type or value gets 400, and
\`error.param\` names the field. Errors have OpenAI's form. \`null\` is the same as omitting a field.

| endpoint | |
| --- | --- |
| \`POST /v1/chat/completions\` | see below |
| \`POST /v1/completions\` | see below |
| \`GET /v1/models\`, \`GET /v1/models/NAME\` | the one model |
| \`GET /health\` | 200 while the gateway answers; needs no key |
| \`GET /\` and the page's files, \`GET /props\`, \`POST /completion\` | the engine's chat page and what it needs |

\`/v1/embeddings\`, \`/v1/responses\` and Anthropic's \`/v1/messages\` are not offered. They get 404 and a message that says so,
\`/v1/messages\` in Anthropic's form. In messages, text that spells one of the model's control tokens stays text; in a raw
\`prompt\` it becomes that token.

| status | \`code\` | meaning |
| --- | --- | --- |
| 400 | \`context_length_exceeded\`, or none | the request is wrong; \`param\` names the field |
| 401 | \`invalid_api_key\` | send \`Authorization: Bearer KEY\` or \`x-api-key: KEY\` |
| 403 | | the request comes from another origin's web page, or names a host that is not allowed |
| 404, 405 | \`unknown_url\`, \`model_not_found\` | no such endpoint, method or model; the message names those that exist |
| 413, 415, 431 | | the body is too large or compressed, or there are too many headers |
| 429 | \`rate_limit_exceeded\`, \`overloaded\` | try again after \`retry-after\` seconds |
| 502, 503 | \`engine_failed\`, \`unavailable\` | the engine failed, or none is ready; the official clients retry |

An error in a running stream is an event, \`data: {"error": {…}}\`, which the official clients throw.

Malformed HTTP, such as two different lengths, a control character in a header, or more than 64 kB of headers, never
reaches the gateway. HAProxy answers it with 400 and an HTML page, which no setting changes (\`errorfile\`, \`errorfiles\` and
\`http-error\` were tried). The official clients look only at the status.

## POST /v1/chat/completions

${table(chatCompletions({ slots }).shape)}

## POST /v1/completions

${table(completions({ slots }).shape)}

## POST /completion

llama-server's own endpoint, for its chat page.

${table(pageCompletion.shape)}
`;
}

function table(shape: Readonly<Record<string, z.ZodType>>): string {
  const rows = Object.entries(shape).map(([name, field]) => {
    const notes = z.globalRegistry.get(field) as FieldNotes | undefined;
    const cells = [`\`${name}\``, rangeOf(field), engines(notes), notes?.description ?? ""];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return `| field | values | engines | |\n| --- | --- | --- | --- |\n${rows.join("\n")}`;
}

function engines(notes: FieldNotes | undefined): string {
  if (notes?.description.endsWith("Accepted, without effect.") === true) return "none";
  return notes?.only === undefined ? "both" : `${notes.only}; bitnet.cpp ignores it`;
}

function rangeOf(field: z.ZodType): string {
  return describe(z.toJSONSchema(field, { unrepresentable: "any", io: "input" }) as Range);
}

function describe(range: Range): string {
  const choices = (range.anyOf ?? range.oneOf)?.filter(({ type }) => type !== "null");
  if (choices !== undefined) return [...new Set(choices.map(describe))].join(" or ");
  if (range.const !== undefined) return JSON.stringify(range.const);
  if (range.enum !== undefined) return range.enum.map((value) => JSON.stringify(value)).join(", ");
  const [type = "anything"] = [range.type ?? []].flat().filter((name) => name !== "null");
  switch (type) {
    case "number":
    case "integer":
      return `${type === "integer" ? "whole number" : "number"}${bounds(range)}`;
    case "string":
      return range.maxLength === undefined ? "text" : `text of up to ${range.maxLength} characters`;
    case "array":
      if (range.maxItems === 0) return "[]";
      return `list${range.maxItems === undefined ? "" : ` of up to ${range.maxItems}`} of ${describe(range.items ?? {})}`;
    default:
      return type === "boolean" ? "true, false" : type;
  }
}

function bounds({ minimum, exclusiveMinimum, maximum }: Range): string {
  const low = minimum ?? exclusiveMinimum;
  const unbounded = low === undefined || low === Number.MIN_SAFE_INTEGER;
  if (maximum === undefined || maximum === Number.MAX_SAFE_INTEGER) return unbounded ? "" : `, ${low} or more`;
  return unbounded ? `, up to ${maximum}` : `, ${exclusiveMinimum === undefined ? "" : "above "}${low} to ${maximum}`;
}

if (import.meta.main) writeFileSync(new URL("api.md", import.meta.url), apiReference());
