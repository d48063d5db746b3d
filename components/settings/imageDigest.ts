import type { z } from "zod";

/** With the registry's name, as an instance pulls it. A tag beside the digest would be ignored. */
const imageByDigest = /^([a-z0-9-]+\.[a-z0-9.-]+|localhost)(:\d+)?\/[a-z0-9._/-]+@sha256:[0-9a-f]{64}$/;

/** Says what is wrong with an image that is not named by its digest. */
export function refuseTag(image: string, context: z.RefinementCtx): void {
  if (imageByDigest.test(image)) return;
  const [, digest] = image.split("@");
  const tag = /:(?!\d+\/)[\w.-]+$/.test(image.split("@", 1)[0] ?? "");
  if (digest === undefined) context.addIssue(tag ? "it names a tag, which can change" : "it names no digest");
  else context.addIssue("not in the right form: REGISTRY/REPOSITORY@sha256: and 64 hexadecimal digits");
}
