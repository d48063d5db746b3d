import { join } from "node:path";

/** The folder of a stack's build contexts. Pulumi accepts `..` as a stack's name; that would be the checkout itself. */
export function buildFolder(stack: string): string {
  return join(".build", /^\.+$/.test(stack) ? `stack${stack}` : stack);
}
