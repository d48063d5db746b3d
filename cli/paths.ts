import { join } from "node:path";

/** The checkout: where Pulumi.yaml is. Every other path is relative to it. */
export const checkout = join(import.meta.dirname, "..");

/** Installed tools and downloads: safe to delete, made anew by the next `npm run up`. */
export const tools = join(checkout, ".tools");

/** Stack state, its passphrase, logs. Not safe to delete while a stack is up. */
export const state = join(checkout, ".state");

/** The settings file of a stack; of a fully qualified name (`organisation/project/stack`) the last part counts. */
export function stackFile(stack: string): string {
  return join(checkout, `Pulumi.${stack.split("/").at(-1) ?? stack}.yaml`);
}
