import type { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { StackNotFoundError } from "@pulumi/pulumi/automation/index.js";
import { attempt } from "../../components/errors.ts";
import { chooseStack, defaultStack } from "../chooseStack.ts";
import { deploymentOf, idOf } from "../deployment.ts";
import type { Network } from "../network.ts";
import { probeNetwork } from "../network.ts";
import { openStack } from "../openStack.ts";
import { shortName } from "../paths.ts";
import { followDockerContext } from "../requirements/dockerClient.ts";
import { findPulumiCli } from "../requirements/pulumiCli.ts";
import { namedStack, selectedStack, settingsOf, sourcesOf, useProjectTools } from "../session.ts";
import type { Finding } from "./finding.ts";
import { ok } from "./finding.ts";
import { dockerFindings, networkFindings, pulumiFindings } from "./machine.ts";
import { stackFindings } from "./stack.ts";

/**
 * Finds out what `up` needs and this machine lacks. Installs and starts nothing, and leaves the stack as it is.
 * @param requested the stack that the user named with --stack
 */
export async function diagnose(requested: string | undefined): Promise<Finding[]> {
  useProjectTools();
  const context = await followDockerContext();
  const [network, pulumi] = await Promise.all([probeNetwork(), findPulumiCli()]);
  const { stack: qualifiedName, why } = await stackOf(requested, network, pulumi);
  const stack = shortName(qualifiedName);
  const settings = settingsOf(stack);
  const [docker, id] = await Promise.all([
    dockerFindings(context, settings.get("memlock")),
    pulumi === undefined ? undefined : idOfStack(qualifiedName, pulumi),
  ]);
  return [
    ok("stack", `${stack}: ${why}`),
    ok("Node", process.version),
    ...docker,
    ...(await pulumiFindings(pulumi, network)),
    ...networkFindings(network, await sourcesOf(settings)),
    ...(await stackFindings(settings, { id, stack })),
  ];
}

/** As `up` would choose it. If only the user can decide, the findings are about `dev`. */
async function stackOf(requested: string | undefined, network: Network, pulumi: PulumiCommand | undefined) {
  const named = namedStack(requested);
  const chosen = await attempt(() =>
    chooseStack({
      named,
      selected: async () => pulumi && (await selectedStack(pulumi)),
      network: () => Promise.resolve(network),
      needed: () => sourcesOf(settingsOf(defaultStack)),
    }),
  );
  return chosen.found ?? { stack: defaultStack, why: "the default; only some sites answer" };
}

/** Undefined for one that was never up. */
async function idOfStack(qualifiedName: string, pulumi: PulumiCommand): Promise<string | undefined> {
  try {
    return idOf(await deploymentOf(await openStack({ qualifiedName, pulumi }, "read")));
  } catch (error) {
    if (error instanceof StackNotFoundError) return undefined;
    throw error;
  }
}
