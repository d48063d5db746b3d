import { appendFileSync } from "node:fs";
import { duration } from "./duration.ts";

/** How often a log (not a terminal) gets a line about a running step, in ms. No CI system kills a silent job sooner. */
const heartbeat = 60_000;

/** How often a terminal's last line is redrawn, in ms. */
const redraw = 500;

/** Steps faster than this, in ms, are reported without a duration. */
const worthTelling = 1000;

/** Where progress goes: process.stderr, or a test's own. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

interface Running {
  readonly label: string;
  readonly since: number;
  detail: string;
}

/**
 * Shows progress: one line for every finished step. While steps run, a terminal's last line shows which ones and for how long;
 * a log gets a line when a step begins, and then one per minute.
 */
export class Progress {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #running = new Map<string, Running>();
  #timer: NodeJS.Timeout | undefined;
  #drawn = false;
  #asking = false;

  /** Asks a question whose default answer is yes. Undefined if nobody can answer, or wants to be asked. */
  question: ((text: string) => Promise<boolean>) | undefined;

  /** @param now the time in ms; default the clock */
  constructor(terminal: Terminal, now: () => number = Date.now) {
    this.#terminal = terminal;
    this.#now = now;
  }

  /** Prints a line at once. */
  note(line: string): void {
    this.#erase();
    this.#terminal.write(`${line}\n`);
    this.#draw();
  }

  /** @param label what is being done, such as "image: building" */
  start(id: string, label: string): void {
    this.#running.set(id, { label, since: this.#now(), detail: "" });
    if (this.#terminal.isTTY === true) this.#draw();
    else this.note(`  ${label} …`);
    this.#timer ??= setInterval(
      () => {
        this.#tick();
      },
      this.#terminal.isTTY === true ? redraw : heartbeat,
    ).unref();
  }

  /** The latest detail of a running step, which a terminal shows behind the step. */
  detail(id: string, detail: string): void {
    const step = this.#running.get(id);
    if (step !== undefined) step.detail = detail;
  }

  /** @param label what was done, such as "image: built" */
  finish(id: string, label: string): void {
    this.#end(id, "✓", label);
  }

  fail(id: string, label: string): void {
    this.#end(id, "✗", label);
  }

  /**
   * Does `work` as one step.
   * @param label what it is called, such as "Pulumi CLI: building from source"
   */
  async run<T>(label: string, work: (detail: (text: string) => void) => Promise<T>): Promise<T> {
    this.start(label, label);
    try {
      const result = await work((text) => {
        this.detail(label, text);
      });
      this.finish(label, label);
      return result;
    } catch (error) {
      this.fail(label, label);
      throw error;
    }
  }

  /** Whether the user agrees; yes if nobody can be asked. Running steps are not shown meanwhile. */
  async agree(question: string): Promise<boolean> {
    if (this.question === undefined) return true;
    this.#erase();
    this.#asking = true;
    try {
      return await this.question(question);
    } finally {
      this.#asking = false;
    }
  }

  /** Ends all steps and removes the last line. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#running.clear();
    this.#erase();
  }

  #end(id: string, mark: string, label: string): void {
    const took = this.#now() - (this.#running.get(id)?.since ?? this.#now());
    this.#running.delete(id);
    this.note(`${mark} ${label}${took < worthTelling ? "" : ` (${duration(took)})`}`);
  }

  #tick(): void {
    if (this.#terminal.isTTY === true) {
      this.#erase();
      this.#draw();
    } else {
      for (const step of this.#running.values()) this.#terminal.write(`  ${this.#describe(step)}\n`);
    }
  }

  #describe({ label, since, detail }: Running): string {
    return `${label} (${duration(this.#now() - since)})${detail === "" ? "" : ` ${detail}`}`;
  }

  #draw(): void {
    if (this.#terminal.isTTY !== true || this.#running.size === 0 || this.#asking) return;
    const line = `… ${[...this.#running.values()].map((step) => this.#describe(step)).join(" · ")}`;
    this.#erase();
    this.#terminal.write(line.slice(0, (this.#terminal.columns ?? 80) - 1));
    this.#drawn = true;
  }

  #erase(): void {
    if (this.#drawn) this.#terminal.write("\r\u001b[2K");
    this.#drawn = false;
  }
}

/** Takes a program's output: into a file, or on the screen. */
export type Output = (text: string) => void;

/** @returns an Output that appends to a file, which stays readable while a build runs */
export function toFile(path: string): Output {
  return (text) => {
    appendFileSync(path, text);
  };
}
