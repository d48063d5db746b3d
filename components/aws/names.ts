import { createHash } from "node:crypto";

/**
 * A name that says which stack something is of, for what people look for by name; everything else is named by Pulumi.
 * In lower case and of letters, digits and dashes, which every AWS service takes. What a stack name loses by that is
 * made up for by a hash of it, so that two stacks never share a name.
 * @param limit AWS's limit for this kind of name, in characters
 */
export function stackName(stack: string, limit: number): string {
  const plain = `bitnet-${stack}`;
  const safe = plain.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-");
  if (safe === plain && safe.length <= limit) return safe;
  const hash = createHash("sha256").update(stack).digest("hex").slice(0, 8);
  return `${safe.slice(0, limit - hash.length - 1)}-${hash}`;
}
