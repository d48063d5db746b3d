/** AWS's own words, without Pulumi's around them. */
export function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^[\s\S]*returned an error: (invoking [^ ]+: )?/, "").trim();
}
