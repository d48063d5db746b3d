/** One event of llama-server's stream. bitnet.cpp writes errors as a field of their own, `error: {…}`. */
export interface ServerEvent {
  field: "data" | "error";
  value: string;
}

/** The longest line that an engine sends: the last event repeats prompt and answer. */
const longestLine = 64 * 1024 * 1024;

/** Reads server-sent events from bytes, which may break anywhere: in a line, or inside a character. */
export async function* serverEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > longestLine) throw new Error("the engine sent a line without an end");
    for (const line of lines) {
      const event = eventOf(line);
      if (event !== undefined) yield event;
    }
  }
}

function eventOf(line: string): ServerEvent | undefined {
  const match = /^(data|error): ?(.*?)\r?$/.exec(line);
  return match === null ? undefined : { field: match[1] === "error" ? "error" : "data", value: match[2] ?? "" };
}
