import type { Path, Properties } from "./values.ts";

/** What every operation on a resource may need besides its properties. All properties come with secrets in the clear. */
export interface Context {
  /** The resource's logical name in the program. */
  readonly name: string;
  /** The engine's seed for this resource: an autoname drawn from it is the same in preview and update. */
  readonly seed: Uint8Array;
  /** True in a preview: nothing may be touched, and what only a real run can tell stays unknown. */
  readonly preview: boolean;
  /** Writes a line for the user that stays in the update's log. */
  readonly log: (severity: "info" | "warning", message: string) => void;
  /** Shows a line beside the resource while it is being worked on. */
  readonly progress: (message: string) => void;
}

/** How a property changed; the values are Pulumi's PropertyDiff.Kind without and with replacement. */
export interface Change {
  readonly kind: "add" | "delete" | "update";
  /** The resource must be replaced because of this change. */
  readonly replace?: boolean;
}

/** The outcome of a comparison, by property or path within one: no changed property means that nothing is to be done. */
export interface Diff {
  readonly changes: Readonly<Record<string, Change>>;
  /** On replacement the old resource goes before the new one comes. */
  readonly deleteBeforeReplace?: boolean;
}

/** A resource's identity and all of its properties after create or read. */
export interface State {
  readonly id: string;
  readonly outputs: Properties;
}

/** One type of resource. Errors thrown by its functions are shown to the user as they are. */
export interface Resource {
  /** Names of outputs that are secret whatever the inputs were. */
  readonly secretOutputs?: readonly string[];
  /** Places of secrets in all inputs and outputs, given those in the program's inputs; by default the very same places. */
  readonly secrets?: (given: readonly Path[]) => readonly Path[];
  /** Fills in defaults. */
  check(news: Properties, olds: Properties, context: Context): Promise<Properties> | Properties;
  diff(state: Properties, oldInputs: Properties, news: Properties): Diff;
  create(inputs: Properties, context: Context): Promise<State> | State;
  /** The resource as it is now, or undefined if it has gone. Left out: the state is believed. */
  read?(
    id: string,
    state: Properties,
    inputs: Properties,
  ): Promise<(State & { readonly inputs: Properties }) | undefined>;
  update(id: string, inputs: Properties, state: Properties, context: Context): Promise<Properties> | Properties;
  delete?(id: string, state: Properties, context: Context): Promise<void>;
}

/** A provider plugin. */
export interface Provider {
  readonly version: string;
  /** By type token: its resources, or what finds them. */
  readonly resources: Readonly<Record<string, Resource>> | ((type: string) => Resource | undefined);
  /** Answers one of the provider's functions, by its token. */
  readonly invoke?: (token: string, args: Properties) => Promise<Properties>;
  /** Receives the provider's configuration (without the package's prefix) before anything else is called. */
  readonly configure?: (config: Readonly<Record<string, string>>) => void;
}

/** A resource that exists but is not as it should be: its state is kept, marked as failed, and tried again by the next update. */
export class PartialFailure extends Error {
  readonly state: State;

  constructor(message: string, state: State) {
    super(message);
    this.state = state;
  }
}
