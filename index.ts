import { awsTarget } from "./components/aws/target.ts";
import { dockerTarget } from "./components/docker/target.ts";
import { preflight } from "./components/preflight.ts";
import { readConfiguration } from "./components/settings/schema.ts";

// Whatever can be wrong is found out first, before anything is built or changed.
const plan = await preflight(readConfiguration());

/** The stack's outputs: DockerOutputs or AwsOutputs say what each is. */
export default plan.target === "docker" ? dockerTarget(plan) : awsTarget(plan);
