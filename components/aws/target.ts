import * as pulumi from "@pulumi/pulumi";
import { BitnetImage } from "../image/bitnetImage.ts";
import { cpuTargetOf, platformOf } from "../image/cpuTarget.ts";
import { cleanUpImages } from "../image/imageCleanup.ts";
import type { Model } from "../model/model.ts";
import { EcrRegistry } from "./registry.ts";
import type { AwsSettings } from "../settings/aws.ts";
import { SmokeTest } from "../serving/smokeTest.ts";
import type { StackId } from "../stackId.ts";
import type { Account } from "./account.ts";
import { stackTags } from "./account.ts";
import { EcsFleet } from "./fleet.ts";
import { smallImage } from "./images.ts";
import { parseReference, repositoryArnOf } from "./imageReference.ts";
import { readImageScan } from "./imageScan.ts";
import { instanceWarnings, volumeGb } from "./instances.ts";
import { alarmCount, trackingAlarmCount } from "./alarms.ts";
import { stackName } from "./names.ts";
import { endpointServices } from "./network.ts";
import { fewestReplicas, mostReplicas } from "./service/scaling.ts";
import type { ContainerName } from "./service/taskDefinition.ts";
import { bundleGateway } from "../../gateway/bundle.ts";
import { describeCost, describeTokenCost } from "./prices.ts";

/** The outputs of a stack on AWS. */
export interface AwsOutputs {
  /** The OpenAI-compatible API. */
  url: pulumi.Output<string>;
  healthUrl: pulumi.Output<string>;
  /** The model's name in the API. */
  model: string;
  /** The tasks' image, by digest. */
  image: pulumi.Output<string>;
  /** The minimum and the maximum. */
  replicas: string;
  /** The first key. A secret: `pulumi stack output apiKey --show-secrets`. */
  apiKey: pulumi.Output<string>;
  dashboardUrl: pulumi.Output<string>;
  /** The ECR repository. */
  repository: pulumi.Output<string>;
  /** The name of the ECS cluster and of the service in it. */
  service: pulumi.Output<string>;
  region: string;
  /** In dollars, from a dated table. */
  costPerMonth: string;
  /** In dollars, from the same table and a speed that was measured elsewhere. */
  costPerMillionTokens: string;
}

/** The results of the earlier checks. */
export interface AwsTargetArgs {
  settings: AwsSettings;
  stackId: StackId;
  model: Model;
  account: Account;
}

/** The aws target: an ECS service on CPU-optimised instances behind a load balancer. */
export async function awsTarget(args: AwsTargetArgs): Promise<AwsOutputs> {
  const { stackId, settings, model, account } = args;
  const tags = stackTags();
  for (const warning of [...account.warnings, ...warnings(settings, account)]) void pulumi.log.warn(warning);
  const { slots } = account;

  const repositoryName = stackName(pulumi.getStack(), 256);
  const registry = new EcrRegistry("registry", { repositoryName, tags });
  const imageCleanup = cleanUpImages("images", stackId);
  await bundleGateway();
  const images = createImages(args, registry, imageCleanup);
  const scan = scanImages(args, repositoryName, images);
  const fleet = new EcsFleet("fleet", {
    settings,
    account,
    repositoryArns: [registry.repositoryArn, ...givenRepository(settings, account)],
    images,
    server: { ...settings, parallel: slots, modelAlias: model.alias, contextSize: model.contextSize },
    prompt: model.facts.prompt,
    modelBytes: model.facts.fileSize,
    memoryBytes: model.memoryNeed(slots).total,
    tags,
    cleared: [scan],
  });
  const url = pulumi.interpolate`${fleet.address}/v1`;
  askQuestion(args, fleet, url, images.server);
  return {
    url,
    healthUrl: pulumi.interpolate`${fleet.address}/health`,
    model: model.alias,
    image: images.server,
    replicas: `${settings.minReplicas} to ${settings.maxReplicas}`,
    apiKey: fleet.apiKey,
    dashboardUrl: fleet.dashboardUrl,
    repository: registry.repository,
    service: fleet.serviceName,
    region: account.region,
    costPerMonth: costPerMonth(settings, account, model),
    costPerMillionTokens: costPerMillionTokens(settings, account, model),
  };
}

/** The images of a task's containers, by digest: built and pushed, except a server image that was built elsewhere. */
function createImages(
  { stackId, settings, model, account }: AwsTargetArgs,
  registry: EcrRegistry,
  imageCleanup: pulumi.Resource,
): Record<ContainerName, pulumi.Output<string>> {
  const { architecture, type } = account.instance;
  const platform = platformOf(architecture);
  const afterwards = { dependsOn: [imageCleanup] };
  const build = () =>
    new BitnetImage("bitnet", {
      ...settings,
      ...afterwards,
      stackId,
      cpuTarget: settings.cpuTarget === "native" ? cpuTargetOf(type, architecture).name : settings.cpuTarget,
      registry,
      model: model.source,
      modelSha256: model.sha256,
      platform,
    });
  const small = { stackId, registry, platform, baseImage: settings.baseImage };
  return {
    server: settings.image === undefined ? build().digest : pulumi.output(settings.image),
    gateway: smallImage("gateway", small, afterwards),
    haproxy: smallImage("haproxy", small, afterwards),
  };
}

/** Reads ECR's findings for images that were pushed to the repository, so not for a server image built elsewhere. */
function scanImages(
  { settings, account }: AwsTargetArgs,
  repository: string,
  images: Record<ContainerName, pulumi.Output<string>>,
): pulumi.Resource {
  const pushed = settings.image === undefined ? Object.values(images) : [images.gateway, images.haproxy];
  const { failOnCritical } = settings;
  return readImageScan("image-scan", { region: account.region, repository, images: pushed, failOnCritical });
}

/** The ECR repository of an image that was built elsewhere, if it is in ECR. */
function givenRepository({ image }: AwsSettings, { partition }: Account): string[] {
  const arn = image === undefined ? undefined : repositoryArnOf(parseReference(image), partition);
  return arn === undefined ? [] : [arn];
}

function askQuestion(
  { settings, model }: AwsTargetArgs,
  fleet: EcsFleet,
  url: pulumi.Output<string>,
  image: pulumi.Output<string>,
): void {
  new SmokeTest(
    "smoke-test",
    {
      url,
      apiKey: fleet.apiKey,
      modelAlias: model.alias,
      image,
      replicaIds: undefined,
      version: fleet.version,
      loadBalancerId: fleet.loadBalancerId,
      prompt: settings.smokePrompt,
      answer: settings.smokeAnswer,
    },
    { dependsOn: [fleet] },
  );
}

function warnings({ image, cpuTarget, domain, allowedCidrs }: AwsSettings, { instance }: Account): string[] {
  const open = allowedCidrs.some((cidr) => cidr.endsWith("/0"));
  return [
    ...instanceWarnings(instance, image === undefined ? cpuTarget : undefined),
    ...(domain === undefined && open
      ? [
          "allowPlainHttp with allowedCidrs open to the whole internet: ANYONE ON THE WAY CAN READ THE API KEY, every prompt and every answer; set domain, or allowedCidrs to your own network",
        ]
      : []),
  ];
}

function costPerMillionTokens({ engine }: AwsSettings, { instance, slots }: Account, { facts }: Model): string {
  return describeTokenCost({ ...instance, engine, slots, modelBytes: facts.fileSize });
}

function costPerMonth(settings: AwsSettings, { instance }: Account, { facts }: Model): string {
  const { vpcId, publicSubnetIds, internal, egress } = settings;
  const own = vpcId === undefined;
  const zones = own ? settings.zones : publicSubnetIds.length;
  return describeCost({
    instanceType: instance.type,
    vcpus: instance.vcpus,
    minReplicas: fewestReplicas(settings),
    maxReplicas: mostReplicas(settings),
    volumeGb: volumeGb(facts.fileSize),
    zones,
    internal,
    endpoints: own && egress === "endpoints" ? endpointServices.length : 0,
    natGateways: own && egress === "nat" ? zones : 0,
    alarms: alarmCount + trackingAlarmCount,
    rateLimited: settings.rateLimit !== undefined,
  });
}
