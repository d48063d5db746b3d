/** AWS's own message, without the text that Pulumi adds around it. */
export function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^[\s\S]*returned an error: (invoking [^ ]+: )?/, "").trim();
}
