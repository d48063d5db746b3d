import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { z } from "zod";

/** The parts of a stack's state that are used here. */
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
  /** Operations that were running when Pulumi was killed. Nobody knows whether they finished. */
  pending_operations: z.array(z.object({ resource: z.object({ urn: z.string(), type: z.string() }) })).default([]),
});

export type Deployment = z.output<typeof deployment>;

/** Reads a stack's state. */
export async function deploymentOf(stack: Stack): Promise<Deployment> {
  const exported = await stack.exportStack();
  return toDeployment(exported.deployment ?? {});
}

/** @param untyped the state's `deployment`, as Pulumi writes it */
export function toDeployment(untyped: unknown): Deployment {
  return deployment.parse(untyped);
}

/** The stack's id, which labels everything that it has on the Docker Engine. Undefined: it was never up. */
export function idOf({ resources }: Deployment): string | undefined {
  const drawn = resources.find(({ urn }) => urn.endsWith("::random:index/randomId:RandomId::stack-id"));
  return z.string().optional().parse(drawn?.outputs.hex);
}
