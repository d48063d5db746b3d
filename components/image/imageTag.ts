import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { createHash } from "node:crypto";

/** What an image is made from. */
export interface Build {
  /** Of the build context: {@link contextDigest}. */
  context: string;
  args: Readonly<Record<string, string>>;
  platform: string;
}

/** SHA-256 of all that an image is made from, in hexadecimal digits. */
export function buildDigest({ context, args, platform }: Build): string {
  const inputs = [context, platform, Object.entries(args).toSorted()];
  return createHash("sha256").update(JSON.stringify(inputs)).digest("hex");
}

/**
 * A tag that no image has had, for registries whose tags are immutable: it stays while what is built stays, and is new
 * after every change, a change back to an earlier state included. Handed to the build as TAG, which becomes a label, it
 * makes the image's digest as new as the tag.
 * @param proxies what the image is built through: as a change of them is a build for the provider, which pushes again,
 *   and as such a registry refuses a tag that it has even for the same image (aws/containers-roadmap's issue 2380), they
 *   make a new tag as well
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
