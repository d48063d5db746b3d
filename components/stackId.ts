import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

/** Identifies a stack on a Docker Engine, even among stacks of the same name in other checkouts. */
export interface StackId {
  /** Sixteen hexadecimal digits, usable in a label, an image tag and a folder name. */
  readonly hex: pulumi.Output<string>;
  /** The same, if already known; undefined in the preview of a new stack, which owns nothing yet. */
  readonly known: string | undefined;
  /** The stack's name when the id was generated, for people. `pulumi stack rename` does not change it. */
  readonly firstName: pulumi.Output<string>;
}

/** Generates the stack's id once. The id is in the state, and everything that carries it belongs to the stack. */
export async function drawStackId(): Promise<StackId> {
  const { hex, keepers } = new random.RandomId(
    "stack-id",
    { byteLength: 8, keepers: { stack: pulumi.getStack() } },
    // A renamed stack is still the same stack.
    { ignoreChanges: ["keepers"] },
  );
  return { hex, known: await ifKnown(hex), firstName: keepers.apply((at) => at?.stack ?? pulumi.getStack()) };
}

async function ifKnown(output: pulumi.Output<string>): Promise<string | undefined> {
  // Missing from the SDK's declarations, but its own code and policy packs depend on it.
  const { isKnown } = output as unknown as { isKnown: Promise<boolean> };
  if (!(await isKnown)) return undefined;
  return new Promise((resolve) => {
    output.apply(resolve);
  });
}
