// All that `npm run …` takes from here. The rest of this folder is an inner matter, or runs as a program of its own.
export { generatedModel } from "./model.ts";
export { preparedSettings, prepareSources } from "./prepare.ts";
export { buildPulumiCli } from "./pulumiCli.ts";
export { offlineStack, offlineStackFile } from "./stack.ts";
