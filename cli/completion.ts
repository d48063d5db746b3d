import { readdirSync } from "node:fs";
import type { Option } from "@bomb.sh/tab";
import completions, { ShellCompDirective } from "@bomb.sh/tab";
import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import { mayBeSecret, settingGroups, targetSetting } from "../components/settings/schema.ts";
import { describeSetting } from "../components/settings/types.ts";
import { stackOf } from "./commands/tools.ts";
import { checkout } from "./paths.ts";
import { readStack } from "./stackSettings.ts";

/** Adds the command `completion`, and the hidden `complete` that its scripts call at every Tab. */
export function addCompletion(cli: Command): void {
  let words: readonly string[] = [];
  cli.hook("preAction", (_, command) => {
    words = command.args;
  });
  tab(cli, { completionCommandName: "completion" });
  for (const { options } of completions.commands.values()) {
    offer(options.get("stack"), () => stackNames().map((name) => [name, ""]));
    offer(options.get("set"), () => settingsFor(words));
  }
  noSpaceAfterEquals();
}

/** Completes an option's value, if a command has that option. */
function offer(option: Option | undefined, values: () => [word: string, meaning: string][]): void {
  if (option === undefined) return;
  option.handler = (complete) => {
    for (const [word, meaning] of values()) complete(word, meaning);
  };
}

/** The stacks that have a file of settings. */
function stackNames(): string[] {
  return readdirSync(checkout).flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
}

/** `KEY=` and what it means, for each setting that `--set` takes. */
function settingsFor(words: readonly string[]): [word: string, meaning: string][] {
  const { shared, docker, aws } = settingGroups;
  const target = targetOf(words);
  const known = { ...shared, ...(target === "aws" ? {} : docker), ...(target === "docker" ? {} : aws) };
  return Object.entries(known)
    .filter(([key]) => !mayBeSecret(key))
    .map(([key, type]) => [`${key}=`, describeSetting(type).meaning.split(/(?<=\.)\s/, 1)[0] ?? ""]);
}

/** The target of the stack that the words name. Undefined if they name none: only Pulumi knows which one is selected. */
function targetOf(words: readonly string[]): string | undefined {
  const stack = stackOf(words);
  return stack === undefined ? undefined : targetSetting.safeParse(readStack(stack).get("target")).data;
}

/** The library has the shell put a space after every completion. After `replicas=` comes a value. */
function noSpaceAfterEquals(): void {
  const { ShellCompDirectiveNoFileComp: noFiles, ShellCompDirectiveNoSpace: noSpace } = ShellCompDirective;
  Object.defineProperty(completions, "directive", {
    configurable: true,
    get: () => (completions.completions.some(({ value }) => value.endsWith("=")) ? noFiles | noSpace : noFiles),
    set: () => undefined, // the library's constant
  });
}
