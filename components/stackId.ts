import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

/** Tells a stack from every other one on the same Docker Engine, one of the same name in another checkout included. */
export interface StackId {
  /** Sixteen hexadecimal digits, good for a label, an image's tag and a folder alike. */
  readonly hex: pulumi.Output<string>;
  /** The same, where it is known already; undefined in the preview of a new stack, which owns nothing yet. */
  readonly known: string | undefined;
  /** The name that the stack had when the id was drawn: for people. It outlives `pulumi stack rename`. */
  readonly firstName: pulumi.Output<string>;
}

/** Draws the stack's id, once: it lives in the state, and whatever carries it is the stack's. */
export async function drawStackId(): Promise<StackId> {
  const { hex, keepers } = new random.RandomId(
    "stack-id",
    { byteLength: 8, keepers: { stack: pulumi.getStack() } },
    // Another name is no other stack.
    { ignoreChanges: ["keepers"] },
  );
  return { hex, known: await ifKnown(hex), firstName: keepers.apply((at) => at?.stack ?? pulumi.getStack()) };
}

async function ifKnown(output: pulumi.Output<string>): Promise<string | undefined> {
  // Not among the SDK's declarations, but its own code and its policy packs live on it.
  const { isKnown } = output as unknown as { isKnown: Promise<boolean> };
  if (!(await isKnown)) return undefined;
  return new Promise((resolve) => {
    output.apply(resolve);
  });
}
