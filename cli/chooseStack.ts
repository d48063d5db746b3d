import type { Network } from "../offline/network.ts";
import { offlineStack } from "../offline/stack.ts";

/** The stack where the network is open. */
export const defaultStack = "dev";

/** The stack that Pulumi has selected: the one that was last worked on. */
export interface Selected {
  readonly name: string;
  readonly resourceCount?: number | undefined;
}

export interface Choice {
  readonly stack: string;
  /** For people; undefined where the choice is none of the network's. */
  readonly why?: string;
}

/**
 * Chooses the stack of a command: the one that the user named; else the selected one, as for plain `pulumi`, if there is
 * anything of it, because the network may have changed since its `up`; else the network decides.
 */
export async function chooseStack(
  requested: string | undefined,
  selected: () => Promise<Selected | undefined>,
  network: () => Promise<Pick<Network, "open" | "reason">>,
): Promise<Choice> {
  if (requested !== undefined) return { stack: requested };
  const last = await selected();
  if (last !== undefined && (last.resourceCount ?? 0) > 0) return { stack: last.name };
  const { open, reason } = await network();
  return open ? { stack: defaultStack, why: "the network is open" } : { stack: offlineStack, why: reason };
}
