import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { profile } from "./cluster/cluster.ts";

export interface ImageScanArgs {
  region: string;
  /** The repository's name. */
  repository: string;
  /** By digest; all in that repository. */
  images: pulumi.Input<string>[];
  /** See the setting of that name. */
  failOnCritical: boolean;
}

/**
 * Reads ECR's scan findings for images that were pushed, once for each: see commands/readImageScan.ts. It warns of
 * CRITICAL findings, in each later update too; with `failOnCritical` it fails the update instead.
 */
export function readImageScan(name: string, args: ImageScanArgs): command.local.Command {
  const scan = new command.local.Command(
    name,
    {
      create: "node commands/readImageScan.ts",
      environment: { IMAGE_SCAN: pulumi.jsonStringify(args), ...profile() },
      logging: "stderr",
    },
    { customTimeouts: { create: "30m", update: "30m" } },
  );
  scan.stdout.apply((found) => {
    // Undefined in a preview, despite the declarations.
    for (const line of ((found as string | undefined) ?? "").split("\n").filter((each) => each !== "")) {
      void pulumi.log.warn(line, scan);
    }
  });
  return scan;
}
