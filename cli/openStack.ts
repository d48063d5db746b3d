import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";
import { LocalWorkspace, Stack } from "@pulumi/pulumi/automation/index.js";
import { checkout } from "./paths.ts";
import type { Session } from "./session.ts";

/**
 * How a stack is opened: `select` makes it the one that later commands work on, and creates it if it is new; `create`
 * only creates it, `read` does neither.
 */
export type Opening = "select" | "create" | "read";

/** @throws StackNotFoundError if there is no such stack, and it is only to be read */
export async function openStack(
  { qualifiedName, pulumi }: Pick<Session, "qualifiedName" | "pulumi">,
  opening: Opening,
  program?: PulumiFn,
): Promise<Stack> {
  const options = { workDir: checkout, pulumiCommand: pulumi, ...(program === undefined ? {} : { program }) };
  const workspace = await LocalWorkspace.create(options);
  if (opening !== "select") leaveSelection(workspace);
  return opening === "read" ? Stack.select(qualifiedName, workspace) : Stack.createOrSelect(qualifiedName, workspace);
}

/**
 * The Automation API opens a stack by `pulumi stack select`, which changes the user's selection. This does as its remote
 * workspaces do, which have no selection: it only looks whether the stack exists.
 */
function leaveSelection(workspace: LocalWorkspace): void {
  // The SDK exports this, but its declarations omit it.
  const cli = workspace.pulumiCommand as unknown as {
    run: (args: string[], folder: string, env: Record<string, string>) => Promise<unknown>;
  };
  const run = async (...args: string[]) => {
    await cli.run(args, workspace.workDir, {});
  };
  workspace.selectStack = (name) => run("stack", "--show-name", "--stack", name);
  workspace.createStack = (name) => run("stack", "init", "--no-select", name);
}
