import { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import type { Network } from "../../offline/network.ts";
import { buildPulumiCli } from "../../offline/pulumiCli.ts";
import { tools } from "../paths.ts";
import type { Progress } from "../progress.ts";

/** The first Pulumi CLI that runs `refresh` and `destroy` for an inline program (its release notes). */
const oldest = "3.181.0";

/**
 * Finds a Pulumi CLI (.tools/bin is the first folder on our PATH), or installs one into .tools.
 * @param network decides between Pulumi's own installer and a build from source
 */
export async function ensurePulumiCli(network: () => Promise<Network>, progress: Progress): Promise<PulumiCommand> {
  const found = await find();
  if (found !== undefined) return found;
  if ((await network()).canReach("Pulumi")) {
    return progress.run("Pulumi CLI: installing into .tools", () => PulumiCommand.install({ root: tools }));
  }
  await progress.run("Pulumi CLI: building from its Go module into .tools", buildPulumiCli);
  return PulumiCommand.get({ root: tools });
}

async function find(): Promise<PulumiCommand | undefined> {
  try {
    const command = await PulumiCommand.get();
    return (command.version?.compare(oldest) ?? -1) >= 0 ? command : undefined;
  } catch {
    return undefined; // none on PATH, or of another major version
  }
}
