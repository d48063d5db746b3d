import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { createHash } from "node:crypto";

/** What an image is built from. */
export interface Build {
  /** Of the build context: {@link contextDigest}. */
  context: string;
  args: Readonly<Record<string, string>>;
  platform: string;
}

/** SHA-256 of everything that an image is built from, in hexadecimal digits. */
export function buildDigest({ context, args, platform }: Build): string {
  const inputs = [context, platform, Object.entries(args).toSorted()];
  return createHash("sha256").update(JSON.stringify(inputs)).digest("hex");
}

/**
 * A tag that no image has had before, for registries with immutable tags. It stays the same while what is built stays
 * the same, and is new after every change, including a change back to an earlier state. The build gets it as TAG, which
 * becomes a label, so the image's digest is as new as the tag.
 * @param proxies the proxies that the build uses. A change of them makes the provider build and push again, and such a
 *   registry refuses a tag that it already has, even for the same image (aws/containers-roadmap's issue 2380). So they
 *   create a new tag as well
 */
export function uniqueTag(
  name: string,
  kind: string,
  build: pulumi.Input<Build>,
  proxies: Readonly<Record<string, string>>,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const through = Object.keys(proxies).length === 0 ? {} : { proxies: hashOf(proxies) };
  const keepers = pulumi.output(build).apply((inputs) => ({ content: buildDigest(inputs), ...through }));
  const id = new random.RandomId(`${name}-tag`, { byteLength: 8, keepers }, opts);
  return pulumi.interpolate`${kind}-${id.hex}`;
}

function hashOf(values: Readonly<Record<string, string>>): string {
  return createHash("sha256")
    .update(JSON.stringify(Object.entries(values).toSorted()))
    .digest("hex");
}
