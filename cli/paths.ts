import { join } from "node:path";

/** The checkout: where Pulumi.yaml is. Every other path is relative to it. */
export const checkout = join(import.meta.dirname, "..");

/** Installed tools and downloads. Safe to delete: the next `npm run up` gets them again. */
export const tools = join(checkout, ".tools");

/** Stack state, its passphrase, logs. Not safe to delete while a stack is up. */
export const state = join(checkout, ".state");

/** A stack's own name: `dev` of `dev` and of `organization/bitnet-server/dev`. Files, labels and messages have this one. */
export function shortName(stack: string): string {
  return stack.split("/").at(-1) ?? stack;
}

/** The settings file of a stack. */
export function stackFile(stack: string): string {
  return join(checkout, `Pulumi.${shortName(stack)}.yaml`);
}
