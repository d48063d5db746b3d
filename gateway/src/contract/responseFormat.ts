import { z } from "zod";
import { engineSchema, SchemaError } from "../rules/jsonSchema.ts";

/** A JSON schema; what comes out is the part that the engine enforces. */
export const jsonSchema = z.unknown().transform((schema, context) => {
  try {
    return engineSchema(schema);
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    context.addIssue({ code: "custom", message: error.message });
    return z.NEVER;
  }
});

export const responseFormat = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("text") }),
    z.object({ type: z.literal("json_object") }),
    z.object({
      type: z.literal("json_schema"),
      json_schema: z.object({
        name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, { error: "expected 1 to 64 letters, digits, _ or -" }),
        description: z.string().max(1024).nullish(),
        strict: z.boolean().nullish(),
        schema: jsonSchema,
      }),
    }),
  ],
  { error: "expected a `type` of text, json_object or json_schema" },
);

/** The schema that an answer has to follow, or undefined for any text. */
export function answerSchema(format: z.infer<typeof responseFormat> | null | undefined) {
  switch (format?.type) {
    case "json_object":
      return { type: "object" };
    case "json_schema":
      return format.json_schema.schema;
    default:
      return undefined;
  }
}
