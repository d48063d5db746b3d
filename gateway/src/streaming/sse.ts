import type { Form } from "../answers/form.ts";
import { ApiError } from "../errors.ts";
import type { EngineEvent } from "../upstream/engine.ts";
import { heartbeat } from "./heartbeat.ts";
import type { Indexed } from "./merge.ts";

/**
 * An answer as server-sent events. A failure after the status was sent becomes an event that the official clients throw as an
 * error.
 */
export async function* sseText(
  events: AsyncIterable<Indexed<EngineEvent> | typeof heartbeat>,
  form: Form,
  whenFailed: (error: unknown) => ApiError,
): AsyncGenerator<string, void> {
  try {
    const begun = new Set<number>();
    for await (const event of events) {
      if (event === heartbeat) {
        yield ": waiting\n\n";
        continue;
      }
      const { index, value } = event;
      const opening = begun.has(index) ? [] : form.opening(index);
      begun.add(index);
      const chunks = [...opening, value.type === "text" ? form.text(index, value) : form.end(index, value)];
      yield chunks.map(dataLine).join("");
    }
    yield [...form.closing().map(dataLine), form.lastLine].join("");
  } catch (error) {
    yield dataLine({ error: whenFailed(error).body });
  }
}

function dataLine(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
