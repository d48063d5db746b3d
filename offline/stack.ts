import { StackText } from "../cli/stackSettings.ts";
import { baseImage } from "./baseImage.ts";
import { engineSource } from "./engineSource.ts";
import { generatedModel } from "./model.ts";

/** The stack for a closed network. */
export const offlineStack = "offline";

const explanation = `# Written by \`npm run up\` on a closed network, and yours to change: later runs only add what is missing.
# As Pulumi.dev.yaml, but for what cannot be downloaded: that is prepared on this machine and named here.
`;

/** The settings that replace downloads. */
const sources = { engine: "ik_llama.cpp", engineRepo: engineSource, baseImage };

/**
 * Dev's settings that describe its own model and engine: the file's checksum, name, context and answer, and the
 * repository's commit.
 */
const notInherited: ReadonlySet<string> = new Set([
  ...["model", "modelUrl", "modelSha256", "modelToken", "modelAlias", "contextSize", "smokePrompt", "smokeAnswer"],
  "engineRef",
]);

/**
 * The text of Pulumi.offline.yaml: its own settings, then those that replace downloads, then dev's.
 * @param existing its text now; undefined if there is no such file
 * @param dev the text of Pulumi.dev.yaml
 */
export function offlineStackFile(existing: string | undefined, dev: string): string {
  const stack = new StackText(existing ?? explanation, "Pulumi.offline.yaml");
  // A stack that names a model does not get the generated one's name and answer.
  const ownModel = stack.has("model") || (stack.get("modelUrl") ?? generatedModel.modelUrl) !== generatedModel.modelUrl;
  const inherited = new StackText(dev, "Pulumi.dev.yaml").all().filter(([key]) => !notInherited.has(key));
  const settings = [...Object.entries({ ...sources, ...(ownModel ? {} : generatedModel) }), ...inherited];
  for (const [key, value] of settings) {
    if (!stack.has(key)) stack.set(key, value);
  }
  return stack.toString();
}
