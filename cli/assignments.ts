import { existsSync } from "node:fs";
import { basename } from "node:path";
import { UserError } from "../components/errors.ts";
import { mayBeSecret } from "../components/settings/schema.ts";
import { stackFile } from "./paths.ts";
import { readStack, writeStack } from "./stackSettings.ts";

/** A setting of `--set KEY=VALUE`. */
export interface Assignment {
  /** With a namespace if it is not this project's, such as `aws:region`. */
  readonly key: string;
  readonly value: string;
}

/**
 * Reads `KEY=VALUE`.
 * @throws UserError if the form is wrong, or the setting is a secret: other users can read a command line
 */
export function parseAssignment(text: string): Assignment {
  const [, key = "", value = ""] = /^(?:bitnet-server:)?((?:[\w-]+:)?[\w-]+)=(.*)$/s.exec(text) ?? [];
  if (key === "") {
    throw new UserError({ key: "--set", value: text, wrong: "is not KEY=VALUE", right: "such as --set replicas=2" });
  }
  if (mayBeSecret(key) || isOfProvider(key)) {
    const wrong = `${key} is a secret, or may be one, and other users of this machine see what a command is given`;
    throw new UserError({
      key: "--set",
      wrong,
      right: `npm run pulumi -- config set --secret ${key}, which asks for it`,
    });
  }
  return { key, value };
}

/** Any setting of a provider may be a secret, except these two. */
function isOfProvider(key: string): boolean {
  return key.includes(":") && !["aws:region", "aws:profile"].includes(key);
}

/**
 * Saves settings in Pulumi.<stack>.yaml, as `pulumi up --config` does, if the stack is valid with them.
 * @param mayCreate whether a stack without such a file gets one
 * @returns what was done, for people
 * @throws UserError with every mistake in the stack's settings; the file is then unchanged
 */
export function assign(stack: string, assignments: readonly Assignment[], mayCreate: boolean): string {
  const file = basename(stackFile(stack));
  if (!mayCreate && !existsSync(stackFile(stack))) {
    const right = `a stack that has one, or npm run up -- --stack ${stack} --set …`;
    throw new UserError({ key: "--set", wrong: `stack ${stack} has no ${file} to save a setting in`, right });
  }
  const settings = readStack(stack);
  for (const { key, value } of assignments) settings.set(key, value);
  if (settings.has("modelUrl") && assignments.some(({ key }) => key === "model")) {
    const wrong = `${file} has a modelUrl, which takes precedence over model`;
    throw new UserError({ key: "--set", wrong, right: `npm run pulumi -- config rm modelUrl --stack ${stack}, first` });
  }
  const { problems } = settings.resolve();
  if (problems.length > 0) throw new UserError(...problems);
  writeStack(stack, settings.toString());
  return `saved in ${file}: ${assignments.map(({ key, value }) => `${key} = ${value}`).join(", ")}`;
}
