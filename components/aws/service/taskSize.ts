import type { Problem } from "../../errors.ts";
import type { Model } from "../../model/model.ts";
import type { AwsSettings } from "../../settings/aws.ts";
import { taskDefinitionBytes, taskDefinitionLimit } from "./taskDefinition.ts";

/**
 * Whether ECS accepts the size of the task definition. Its long parts are the model's chat template and control tokens,
 * and the stack's settings for the server and the gateway. Missing settings have been refused already.
 */
export function checkTaskSize(
  { parallel = 1, corsOrigins, allowedHosts, extraArgs = [], ...settings }: Partial<AwsSettings>,
  { alias, contextSize, facts }: Model,
): Problem[] {
  const bytes = taskDefinitionBytes({
    server: { ...settings, modelAlias: alias, contextSize, parallel, extraArgs },
    gateway: { prompt: facts.prompt, corsOrigins, allowedHosts },
  });
  if (bytes <= taskDefinitionLimit) return [];
  const ofModel = Buffer.byteLength(JSON.stringify(facts.prompt));
  const wrong = `ECS takes task definitions of ${taskDefinitionLimit} bytes, and this one would have ${bytes}, ${ofModel} of them the model's chat template and control tokens`;
  const right = "fewer or shorter extraArgs, corsOrigins and allowedHosts, or a model with a shorter template";
  return [{ key: "task definition", wrong, right }];
}
