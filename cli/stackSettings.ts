import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Document } from "yaml";
import { parseDocument } from "yaml";
import type { Problem } from "../components/errors.ts";
import { UserError } from "../components/errors.ts";
import type { Configuration, SoundSettings } from "../components/settings/schema.ts";
import { checkSettings } from "../components/settings/schema.ts";
import { stackFile } from "./paths.ts";

/** A plain value in Pulumi.<stack>.yaml; a secret is a map with the key `secure` and cannot be read here. */
export type Setting = string | number | boolean;

/** What a stack's program will be given. */
export interface Given {
  /** Those that are right, defaults included, without secrets. */
  readonly values: SoundSettings;
  /** Whether there is no mistake in it. What is wrong is the program's to tell: it knows the secrets, too. */
  readonly isRight: boolean;
  /** The mistakes, but for those in what only the program can read. */
  readonly problems: readonly Problem[];
}

/** The text of Pulumi.<stack>.yaml, which keeps its comments, its secrets and its order when settings are added. */
export class StackText {
  readonly #document: Document;

  /** @throws UserError if the text is no YAML */
  constructor(text: string, name = "the stack's file") {
    const document = parseDocument(text);
    const [error] = document.errors;
    if (error !== undefined) {
      throw new UserError({ key: name, wrong: error.message, right: "YAML, as in Pulumi.dev.yaml" });
    }
    this.#document = document;
  }

  /** @param key such as `memlock`; with a namespace if it is not this project's: `aws:region` */
  has(key: string): boolean {
    return this.#document.hasIn(path(key));
  }

  get(key: string): string | undefined {
    const value = this.#document.getIn(path(key));
    return ["string", "number", "boolean"].includes(typeof value) ? String(value) : undefined;
  }

  set(key: string, value: Setting): void {
    this.#document.setIn(path(key), value);
  }

  /** Every setting that can be read, by key. */
  all(): [key: string, value: Setting][] {
    return [...this.#own()].flatMap(([key, value]) => (isPlain(value) ? [[key, value]] : []));
  }

  /** Whether a value is encrypted. */
  isSecret(key: string): boolean {
    return isSecret(this.#own().get(key));
  }

  /** The configuration as Pulumi hands it over, as far as it can be read here: without secrets. */
  configuration(): Configuration {
    const readable = [...this.#own()].filter(([, value]) => !isSecret(value));
    const values = Object.fromEntries(readable.map(([key, value]) => [key, asText(value)]));
    return { values, isSecret: (key) => this.isSecret(key) };
  }

  /** What the program will be given, as far as it can be read here. */
  resolve(): Given {
    const checked = checkSettings(this.configuration());
    const problems = checked.problems.filter(({ key }) => !this.isSecret(key));
    return { values: checked.sound, isRight: problems.length === 0, problems };
  }

  #own(): Map<string, unknown> {
    const { config } = (this.#document.toJS() ?? {}) as { config?: Record<string, unknown> | null };
    const own = Object.entries(config ?? {}).filter(([key]) => key.startsWith(project));
    return new Map(own.map(([key, value]) => [key.slice(project.length), value]));
  }

  toString(): string {
    return this.#document.toString({ lineWidth: 0 });
  }
}

const project = "bitnet-server:";

function path(key: string): string[] {
  // `aws:region` is the provider's own.
  return ["config", key.includes(":") ? key : project + key];
}

function isPlain(value: unknown): value is Setting {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value;
}

/** Pulumi hands every value on as text, a list as JSON. */
function asText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return isPlain(value) ? String(value) : JSON.stringify(value);
}

/** @returns what Pulumi.<stack>.yaml says; nothing if there is no such file */
export function readStack(stack: string): StackText {
  const file = stackFile(stack);
  return new StackText(existsSync(file) ? readFileSync(file, "utf8") : "", file);
}

/** Writes Pulumi.<stack>.yaml if that changes it. */
export function writeStack(stack: string, text: string): void {
  const file = stackFile(stack);
  if (!existsSync(file) || readFileSync(file, "utf8") !== text) writeFileSync(file, text);
}
