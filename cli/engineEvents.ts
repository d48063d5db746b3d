import type { EngineEvent, OpType, StepEventMetadata } from "@pulumi/pulumi/automation/index.js";
import type { Progress } from "./progress.ts";

/** A step's name while the engine works on a resource, and when it is done. */
const verbs: Partial<Record<OpType, readonly [doing: string, done: string]>> = {
  create: ["creating", "created"],
  update: ["updating", "updated"],
  delete: ["removing", "removed"],
  "create-replacement": ["creating anew", "created anew"],
  "delete-replaced": ["removing the old one", "old one removed"],
};

/** Some resources are not so much created as built, pushed or run. */
const verbsOfType: Readonly<Record<string, readonly [doing: string, done: string]>> = {
  "docker:index/image:Image": ["building and pushing", "built and pushed"],
  "command:local:Command": ["running", "done"],
};

/** Something that went wrong with a resource, or (without a name) with the program as a whole. */
export interface Failure {
  readonly resource?: string;
  readonly message: string;
}

/** A planned change in a preview. */
export interface PlannedStep {
  readonly op: OpType;
  /** For people, such as "container fleet-replica-0". */
  readonly resource: string;
  readonly urn: string;
}

/** Number of resources for each kind of step, without components, to which nothing happens. */
export type Changes = Map<OpType, number>;

/** What one run of the engine did, gathered from its events. */
export class EngineRun {
  readonly failures: Failure[] = [];
  /** Number of resources for each step that was done, or in a preview would be. */
  readonly changes: Changes = new Map<OpType, number>();
  /** In a preview: what would be done. */
  readonly planned: PlannedStep[] = [];
  readonly #progress: Progress;
  readonly #isPreview: boolean;

  constructor(progress: Progress, isPreview = false) {
    this.#progress = progress;
    this.#isPreview = isPreview;
  }

  take(event: EngineEvent): void {
    if (event.resourcePreEvent !== undefined) this.#step(event.resourcePreEvent.metadata, "start");
    if (event.resOutputsEvent !== undefined) this.#step(event.resOutputsEvent.metadata, "finish");
    if (event.resOpFailedEvent !== undefined) this.#step(event.resOpFailedEvent.metadata, "fail");
    if (event.diagnosticEvent !== undefined) this.#diagnostic(event.diagnosticEvent);
  }

  #step(metadata: StepEventMetadata, what: "start" | "finish" | "fail"): void {
    const words = describeStep(metadata);
    if (words === undefined) return;
    if (what === (this.#isPreview ? "start" : "finish")) {
      this.changes.set(metadata.op, (this.changes.get(metadata.op) ?? 0) + 1);
    }
    if (this.#isPreview) {
      if (what === "start") this.planned.push({ op: metadata.op, resource: labelOf(metadata.urn), urn: metadata.urn });
      return;
    }
    const id = `${metadata.urn} ${metadata.op}`;
    if (what === "start") this.#progress.start(id, words.doing);
    if (what === "finish") this.#progress.finish(id, words.done);
    if (what === "fail") this.#progress.fail(id, `${words.doing} failed`);
  }

  #diagnostic({ severity, message, urn }: NonNullable<EngineEvent["diagnosticEvent"]>): void {
    const text = withoutColour(message).trim();
    if (severity === "error" && text !== "" && !isEcho(text)) {
      const resource =
        urn === undefined || urn === "" || typeOf(urn) === "pulumi:pulumi:Stack" ? undefined : labelOf(urn);
      this.failures.push({ ...(resource === undefined ? {} : { resource }), message: text });
    }
    // Plugins come from PATH because we put them there.
    if (severity === "warning" && text !== "" && !/^using pulumi-resource-\S+ from \$PATH/.test(text)) {
      this.#progress.note(`warning: ${text}`);
    }
    // A build's output comes as one message a line.
    if (severity.startsWith("info") && urn !== undefined) {
      for (const op of Object.keys(verbs)) this.#progress.detail(`${urn} ${op}`, text);
    }
  }
}

/** @returns an event as lines of a log, a build's own output among them; "" if it is of no interest */
export function toLog({ diagnosticEvent, resourcePreEvent, resOutputsEvent, resOpFailedEvent }: EngineEvent): string {
  if (diagnosticEvent !== undefined) {
    const { message, severity, urn = "" } = diagnosticEvent;
    // Debug messages, which the type does not know, show every property, secrets too.
    if (!["info", "info#err", "warning", "error"].includes(severity)) return "";
    const prefix = `${urn === "" ? "" : labelOf(urn)}${severity.startsWith("info") ? "" : ` ${severity}`} | `;
    const lines = withoutColour(message).trimEnd().split("\n");
    return lines.map((line) => `${prefix}${line}\n`).join("");
  }
  const { metadata } = resourcePreEvent ?? resOutputsEvent ?? resOpFailedEvent ?? {};
  if (metadata === undefined || metadata.op === "same") return "";
  const state = resourcePreEvent !== undefined ? "begins" : resOutputsEvent !== undefined ? "done" : "failed";
  return `${labelOf(metadata.urn)}: ${metadata.op} ${state}\n`;
}

/** @returns the step's name; undefined for one that nobody waits for: components, providers, nothing to do */
export function describeStep({
  op,
  urn,
  type,
  ...step
}: StepEventMetadata): { doing: string; done: string } | undefined {
  const custom = (step.new ?? step.old)?.custom === true;
  const words = op === "create" || op === "update" || op === "create-replacement" ? verbsOfType[type] : undefined;
  const [doing, done] = words ?? verbs[op] ?? [];
  if (doing === undefined || done === undefined || !custom || type.startsWith("pulumi:providers:")) return undefined;
  const label = labelOf(urn);
  return { doing: `${label}: ${doing}`, done: `${label}: ${done}` };
}

/** @returns "3 created, 1 removed" or "3 to create, 1 to remove"; "no change" if there is none */
export function describeChanges(changes: Changes, tense: "past" | "future" = "past"): string {
  const words = { create: "create", update: "update", "create-replacement": "replace", delete: "remove" } as const;
  const parts = Object.entries(words).flatMap(([op, word]) => {
    const count = changes.get(op as OpType);
    if (count === undefined) return [];
    return [tense === "past" ? `${count} ${word}d` : `${count} to ${word}`];
  });
  return parts.length === 0 ? "no change" : parts.join(", ");
}

/** The engine's "update failed" and "one or more resources failed" add nothing to earlier messages. */
function isEcho(message: string): boolean {
  return /^(update|preview|refresh|destroy|deletion) failed$|^resource registration failed/i.test(message);
}

/** Pulumi marks colours as `<{%fg 1%}>`. */
function withoutColour(message: string): string {
  return message.replaceAll(/<\{%.*?%\}>/g, "");
}

/** "container fleet-replica-0" of urn:pulumi:dev::bitnet-server::…$docker:index/container:Container::fleet-replica-0 */
function labelOf(urn: string): string {
  const type = typeOf(urn).split(":").at(-1) ?? "";
  return `${type.toLowerCase()} ${urn.split("::").slice(3).join("::")}`;
}

function typeOf(urn: string): string {
  return urn.split("::")[2]?.split("$").at(-1) ?? "";
}
