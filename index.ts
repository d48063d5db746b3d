import { awsTarget } from "./components/aws/target.ts";
import { dockerTarget } from "./components/docker/target.ts";
import { requireEngineSource } from "./components/image/engineSource.ts";
import { resolveModel } from "./components/model/model.ts";
import { readSettings } from "./components/settings/schema.ts";

// Whatever can be wrong is found out first, before anything is built or changed: the settings, the model, and, in the
// target, the machine or the AWS account.
const settings = readSettings();
requireEngineSource(settings.engineRepo);
const resolved = await resolveModel(settings);

/** The stack's outputs: DockerOutputs or AwsOutputs say what each is. */
export default settings.target === "docker"
  ? await dockerTarget(settings, resolved)
  : await awsTarget(settings, resolved);
