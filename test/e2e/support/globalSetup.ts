import { Progress } from "../../../cli/progress.ts";
import { StackText } from "../../../cli/stackSettings.ts";
import { prepareSources } from "../../../offline/prepare.ts";
import { sources } from "./testStack.ts";

/** Downloads once what the test stacks are built from; `npm test` has made everything else ready. */
export async function setup(): Promise<void> {
  const stack = new StackText("");
  for (const [key, value] of Object.entries(await sources())) stack.set(key, value);
  const progress = new Progress(process.stderr);
  await prepareSources(stack, progress);
  progress.stop();
}
