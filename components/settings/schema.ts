import * as pulumi from "@pulumi/pulumi";
import { distance } from "fastest-levenshtein";
import { z } from "zod";
import type { Problem } from "../errors.ts";
import type { AwsSettings } from "./aws.ts";
import { awsOnly, awsSchema, checkAws } from "./aws.ts";
import type { DockerSettings } from "./docker.ts";
import { checkDocker, dockerOnly, dockerSchema } from "./docker.ts";
import type { Refuse, SharedSettings } from "./shared.ts";
import { checkShared, sharedSettings } from "./shared.ts";
import { describeSetting, oneOf, setting } from "./types.ts";

/**
 * Everything that a user can set, as `bitnet-server:<key>` in Pulumi.<stack>.yaml: types, defaults and descriptions.
 * Pulumi.yaml declares none of them: Pulumi passes on declared defaults as if the stack had set them. It also reports a
 * wrong type without the value, and stops at the first one.
 */
const schema = z.discriminatedUnion("target", [dockerSchema, awsSchema]);

/** The checked settings. An optional key that was not set is absent. */
export type Settings = DockerSettings | AwsSettings;
export type Target = Settings["target"];
export const targetSetting = setting(
  oneOf("docker", "aws").default("docker"),
  "Where to run. docker = this machine's Docker Engine; aws = EC2 instances behind a load balancer.",
);

/** The settings by target, in the documentation's order. */
export const settingGroups = {
  shared: { target: targetSetting, ...sharedSettings },
  docker: dockerOnly,
  aws: awsOnly,
} as const;

/** Settings of earlier versions, and what to write instead. */
const retired: ReadonlyMap<string, string> = new Map([["apiKey", 'the key in the list `apiKeys`: ["KEY"]']]);

/** A stack's configuration as Pulumi passes it. */
export interface Configuration {
  /** By key without the namespace; "" means not set. */
  readonly values: Readonly<Record<string, string>>;
  /** Whether a key's value is encrypted in the stack; then no message shows it. */
  readonly isSecret: (key: string) => boolean;
}

/** The settings that are valid in themselves, including defaults, although others may be wrong. */
export type SoundSettings =
  | (Partial<DockerSettings> & { target: "docker" })
  | (Partial<AwsSettings> & { target: "aws" })
  | (Partial<SharedSettings> & { target: undefined });

export interface CheckedSettings {
  /** Undefined if anything is wrong. */
  readonly settings: Settings | undefined;
  readonly sound: SoundSettings;
  /** The keys whose values are wrong in themselves. */
  readonly invalid: ReadonlySet<string>;
  readonly problems: readonly Problem[];
}

/** Reads the stack's configuration. Nothing else does. */
export function readConfiguration(): Configuration {
  const namespace = `${pulumi.getProject()}:`;
  const own = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(namespace));
  const values = Object.fromEntries(own.map(([key, value]) => [key.slice(namespace.length), value]));
  // The SDK exports this, but its types omit it.
  const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret: (key: string) => boolean };
  return { values, isSecret: (key) => isConfigSecret(`${namespace}${key}`) };
}

/** Checks a stack's configuration as a whole, and finds every mistake that can be found offline. */
export function checkSettings({ values, isSecret }: Configuration): CheckedSettings {
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
  const target = targetSetting.safeParse(given.target).data;
  const invalid = new Map<string, string>();
  const sound: Record<string, unknown> = { target };
  for (const [key, type] of Object.entries(typesOf(target))) {
    // The fallback hides the schema library's own messages from the user, whatever a type leaves out.
    const result = type.safeParse(given[key], { error: () => "not in the right form" });
    if (!result.success) invalid.set(key, [...new Set(result.error.issues.map(({ message }) => message))].join("; "));
    else if (result.data !== undefined) sound[key] = result.data;
  }

  // Every value was parsed with its own key's type.
  const checked = sound as SoundSettings;
  const collect = (check: (refuse: Refuse) => void): Problem[] => {
    const found: Problem[] = [];
    check((key, wrong, right) => {
      const hidden = isSecret(key) || mayBeSecret(key);
      found.push({ key, ...(hidden || given[key] === undefined ? {} : { value: given[key] }), wrong, right });
    });
    return found;
  };
  const together = collect((refuse) => {
    checkKeys(Object.keys(given), target, refuse);
    checkTogether(checked, (key) => given[key] !== undefined, refuse);
  });
  const alone = collect((refuse) => {
    for (const [key, wrong] of invalid) refuse(key, wrong, describeSetting(allTypes[key] ?? targetSetting).right);
  });
  // If a value should not be there at all, it does not matter whether it is also wrong in itself.
  const problems = [...alone.filter(({ key }) => !together.some((other) => other.key === key)), ...together];

  const settings = problems.length === 0 ? schema.parse({ ...given, target }) : undefined;
  return { settings, sound: checked, invalid: new Set(invalid.keys()), problems };
}

const allTypes: Readonly<Record<string, z.ZodType>> = {
  ...settingGroups.shared,
  ...settingGroups.docker,
  ...settingGroups.aws,
};

/** Even if the target is wrong, the settings that every target has can be checked. */
function typesOf(target: Target | undefined): Readonly<Record<string, z.ZodType>> {
  return { ...settingGroups.shared, ...(target === undefined ? {} : settingGroups[target]) };
}

function checkTogether(settings: SoundSettings, isSet: (key: string) => boolean, refuse: Refuse): void {
  checkShared(settings, refuse);
  if (settings.target === "docker") checkDocker(settings, isSet, refuse);
  if (settings.target === "aws") checkAws(settings, isSet, refuse);
}

/** Refuses keys that are not settings, or not of this target. */
function checkKeys(keys: readonly string[], target: Target | undefined, refuse: Refuse): void {
  const known = typesOf(target);
  for (const key of keys.filter((each) => !Object.hasOwn(known, each))) {
    const instead = retired.get(key);
    if (instead !== undefined) {
      refuse(key, "this setting has been replaced", instead);
    } else if (!Object.hasOwn(allTypes, key)) {
      refuse(key, "there is no such setting", suggest(key, Object.keys(target === undefined ? allTypes : known)));
    } else if (target !== undefined) {
      const other = target === "docker" ? "aws" : "docker";
      refuse(key, `this is a setting of target ${other}, and this stack's target is ${target}`, insteadOf(key, other));
    }
  }
}

function insteadOf(key: string, other: Target): string {
  return `remove it (pulumi config rm ${key}), or set target: ${other}`;
}

/** Names the settings that were probably meant, three at most. */
function suggest(key: string, names: readonly string[]): string {
  const ranked = names
    .map((name) => ({ name, off: distance(key.toLowerCase(), name.toLowerCase()) }))
    .toSorted((a, b) => a.off - b.off)
    .slice(0, 3);
  const close = ranked.filter(({ off }) => off <= Math.ceil(key.length / 3));
  return close.length > 0
    ? `did you mean ${anyOf(close.map(({ name }) => name))}?`
    : `a setting of docs/configuration.md; the nearest names are ${anyOf(ranked.map(({ name }) => name))}`;
}

const anyOf = (names: readonly string[]) => new Intl.ListFormat("en", { type: "disjunction" }).format(names);

/** Messages never show secrets, nor what may be a secret under a misspelt name. */
export function mayBeSecret(key: string): boolean {
  if (Object.hasOwn(allTypes, key)) return describeSetting(allTypes[key] ?? targetSetting).secret;
  const secrets = Object.entries(allTypes).filter(([, type]) => describeSetting(type).secret);
  return secrets.some(([name]) => distance(key.toLowerCase(), name.toLowerCase()) <= Math.ceil(name.length / 3));
}
