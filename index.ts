import { awsTarget } from "./components/aws/target.ts";
import { dockerTarget } from "./components/docker/target.ts";
import { preflight } from "./components/preflight.ts";
import { readConfiguration } from "./components/settings/schema.ts";
import { drawStackId } from "./components/stackId.ts";

// Whatever can be wrong is found out first, before anything is built or changed. It takes the stack's id to tell its own
// containers from others'.
const stackId = await drawStackId();
const plan = await preflight(readConfiguration(), stackId.known);

/** The stack's outputs: DockerOutputs or AwsOutputs say what each is. */
export default plan.target === "docker"
  ? await dockerTarget({ ...plan, stackId })
  : await awsTarget({ ...plan, stackId });
