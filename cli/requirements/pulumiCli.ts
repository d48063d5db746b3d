import { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { UserError } from "../../components/errors.ts";
import type { Network } from "../network.ts";
import { buildPulumiCli } from "../../offline/index.ts";
import { replace } from "../chooseStack.ts";
import { tools } from "../paths.ts";
import type { Progress } from "../progress.ts";

/** The first Pulumi CLI that runs `refresh` and `destroy` for an inline program (its release notes). */
const oldest = "3.181.0";

/**
 * Finds a Pulumi CLI (.tools/bin is the first folder on our PATH), or installs one into .tools.
 * @param network decides between Pulumi's own installer and a build from source
 * @param mayBuild whether to build it where other sites answer, too, and only Pulumi's does not
 * @throws UserError if it may not
 */
export async function ensurePulumiCli(
  network: () => Promise<Network>,
  mayBuild: boolean,
  progress: Progress,
): Promise<PulumiCommand> {
  const installed = await findPulumiCli();
  if (installed !== undefined) return installed;
  const found = await network();
  if (found.canReach("Pulumi")) {
    return progress.run("Pulumi CLI: installing into .tools", () => PulumiCommand.install({ root: tools }));
  }
  if (!found.closed && !mayBuild) throw new UserError(replace("Pulumi", found));
  await progress.run("Pulumi CLI: building from its Go module into .tools", buildPulumiCli);
  return PulumiCommand.get({ root: tools });
}

/** A Pulumi CLI on PATH that is new enough; undefined: there is none. */
export async function findPulumiCli(): Promise<PulumiCommand | undefined> {
  try {
    const command = await PulumiCommand.get();
    return (command.version?.compare(oldest) ?? -1) >= 0 ? command : undefined;
  } catch {
    return undefined; // none on PATH, or of another major version
  }
}
