import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { z } from "zod";

/** What matters here of a stack's state. */
const deployment = z.object({
  resources: z
    .array(
      z.object({
        urn: z.string().default(""),
        id: z.string().optional(),
        outputs: z.record(z.string(), z.unknown()).default({}),
      }),
    )
    .default([]),
  /** What was being done when Pulumi was killed, and may be done or not. */
  pending_operations: z.array(z.object({ resource: z.object({ urn: z.string(), type: z.string() }) })).default([]),
});

export type Deployment = z.output<typeof deployment>;

/** Reads a stack's state; nothing in it is decrypted. */
export async function deploymentOf(stack: Stack): Promise<Deployment> {
  const exported = await stack.exportStack();
  return toDeployment(exported.deployment ?? {});
}

/** @param untyped the state's `deployment`, as Pulumi writes it */
export function toDeployment(untyped: unknown): Deployment {
  return deployment.parse(untyped);
}

/** The stack's id, which all that it has on the Docker Engine is labelled with. Undefined: it was never up. */
export function idOf({ resources }: Deployment): string | undefined {
  const drawn = resources.find(({ urn }) => urn.endsWith("::random:index/randomId:RandomId::stack-id"));
  return z.string().optional().parse(drawn?.outputs.hex);
}
