import { awsTarget } from "./components/aws/target.ts";
import { dockerTarget } from "./components/docker/target.ts";
import { requireEngineSource } from "./components/image/engineSource.ts";
import { resolveModel } from "./components/model/model.ts";
import { readSettings } from "./components/settings.ts";

// Whatever can be wrong is found out first, before anything is built or changed: the settings, the model, and, in the
// target, the machine or the AWS account.
const settings = readSettings();
requireEngineSource(settings.engineRepo);
const resolved = await resolveModel(settings);
const outputs =
  settings.target === "docker" ? await dockerTarget(settings, resolved) : await awsTarget(settings, resolved);

/** The OpenAI-compatible API. */
export const url = outputs.url;
export const healthUrl = outputs.healthUrl;
/** The name under which the API reports the model. */
export const model = outputs.model;
/** The image that the replicas run, by digest. */
export const image = outputs.image;
export const replicas = outputs.replicas;
/** A secret: `pulumi stack output apiKey --show-secrets`. Absent where none is asked for. */
export const apiKey = outputs.apiKey;

// What only one of the targets has is absent in the other's stacks.
const docker = "statsUrl" in outputs ? outputs : undefined;
/** The load balancer's statistics page, on this machine only. */
export const statsUrl = docker?.statsUrl;
/** The same as Prometheus text. */
export const metricsUrl = docker?.metricsUrl;

const aws = "asg" in outputs ? outputs : undefined;
export const dashboardUrl = aws?.dashboardUrl;
/** The ECR repository. */
export const repository = aws?.repository;
/** The Auto Scaling group. */
export const asg = aws?.asg;
/** In dollars, by a table with a date: components/aws/prices.ts. */
export const costPerMonth = aws?.costPerMonth;
