/** How many lines are shown. */
const most = 6;

/** Whether the entrypoint itself ended the container: another start would end the same way. */
export function givesReason(log: string): boolean {
  return /^bitnet-server: /m.test(log);
}

/**
 * Lines that name a cause: the entrypoint's own messages, their continuation lines (indented), and the engines' errors.
 */
const cause = /^(bitnet-server|self-test): |^\S*error\b|\berror: /i;

/**
 * The lines of a container's log that say why it ended. (A server that refuses an argument prints pages of usage after
 * its error.) A container that was restarted repeats itself; each line is taken once.
 * @returns the lines that name a cause; the last ones if none does
 */
export function whyItEnded(log: string): string {
  const lines = log.split("\n").filter((line) => line.trim() !== "");
  const named = lines.filter((line, index) => cause.test(line) || belongsToCause(lines, index));
  return [...new Set(named.length > 0 ? named : lines)].slice(-most).join("\n");
}

function belongsToCause(lines: readonly string[], index: number): boolean {
  if (!/^ {2}\S/.test(lines[index] ?? "")) return false;
  const head = lines.slice(0, index).findLast((line) => !/^ {2}\S/.test(line)) ?? "";
  return head.startsWith("bitnet-server: ");
}

/**
 * Without a terminal, a container's log consists of frames: an 8-byte header, whose last four bytes are the length,
 * then text (docs.docker.com/reference/api/engine, "attach to a container", stream format).
 */
export function textOf(log: Buffer): string {
  const parts: string[] = [];
  for (let at = 0; at + 8 <= log.length;) {
    const end = at + 8 + log.readUInt32BE(at + 4);
    parts.push(log.toString("utf8", at + 8, end));
    at = end;
  }
  return parts.join("");
}
