import { createHash } from "node:crypto";

/**
 * A name that tells which stack a resource belongs to, for resources that people look up by name; Pulumi names the
 * rest. It consists of lower-case letters, digits and dashes, which every AWS service accepts. If the stack's name has
 * to be changed or shortened for that, a hash of it is added, so that two stacks never share a name.
 * @param limit AWS's limit for this kind of name, in characters
 */
export function stackName(stack: string, limit: number): string {
  const plain = `bitnet-${stack}`;
  const safe = plain.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-");
  if (safe === plain && safe.length <= limit) return safe;
  const hash = createHash("sha256").update(stack).digest("hex").slice(0, 8);
  return `${safe.slice(0, limit - hash.length - 1)}-${hash}`;
}
