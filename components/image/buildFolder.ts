import { join } from "node:path";

/** Where a stack's build contexts are laid out. Pulumi takes `..` for a stack's name; it would be the checkout itself. */
export function buildFolder(stack: string): string {
  return join(".build", /^\.+$/.test(stack) ? `stack${stack}` : stack);
}
