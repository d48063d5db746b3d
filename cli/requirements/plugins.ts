import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Network } from "../network.ts";
import { checkout } from "../paths.ts";
import type { Progress } from "../progress.ts";
import { onPath } from "./onPath.ts";

/** The providers of the resources that index.ts declares on the docker target. */
const providers = ["command", "docker", "random"];

/** Whether Pulumi has every plugin, and need not download one. */
export async function hasPlugins(): Promise<boolean> {
  return (await Promise.all(providers.map(isInstalled))).every(Boolean);
}

/**
 * The folder to put on PATH for provider plugins: none where Pulumi has the official ones or can download them (which
 * it does by itself), else the one with the stand-ins.
 * @param network asked only if a plugin is missing
 */
export async function pluginFolder(network: () => Promise<Network>, progress: Progress): Promise<string | undefined> {
  if (await hasPlugins()) return undefined;
  const found = await network();
  if (found.canReach("Pulumi")) return undefined;
  if (!found.closed)
    progress.note(`Pulumi's plugins cannot be downloaded (${found.whyNot("Pulumi") ?? ""}): stand-ins`);
  return join(checkout, "offline", "plugins");
}

async function isInstalled(provider: string): Promise<boolean> {
  const manifest = await readFile(join(checkout, "node_modules", "@pulumi", provider, "package.json"), "utf8");
  const { version } = JSON.parse(manifest) as { version: string };
  const home = process.env["PULUMI_HOME"] ?? join(homedir(), ".pulumi");
  const plugin = `pulumi-resource-${provider}`;
  return existsSync(join(home, "plugins", `resource-${provider}-v${version}`)) || onPath(plugin).length > 0;
}
