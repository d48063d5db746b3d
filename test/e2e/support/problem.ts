/** A problem as it is told to users, in its parts. */
export interface ToldProblem {
  /** As it was given; undefined if the message does not show it. */
  value: string | undefined;
  wrong: string;
  right: string;
}

/**
 * Finds what a message says of a key:
 *
 *     key: "value"
 *       wrong: …
 *       right: …
 */
export function problemOf(output: string, key: string): ToldProblem {
  const pattern = new RegExp(`^ *${key}(?:: (?<value>.*))?\\n +wrong: (?<wrong>.*)\\n +right: (?<right>.*)$`, "m");
  const { value, wrong, right } = pattern.exec(output)?.groups ?? {};
  if (wrong === undefined || right === undefined) throw new Error(`nothing is said of ${key}:\n${output}`);
  return { value: value === undefined ? undefined : String(JSON.parse(value)), wrong, right };
}
