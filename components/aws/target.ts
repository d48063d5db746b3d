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
import { instanceWarnings, volumeGb } from "./instances.ts";
import { alarmCount, trackingAlarmCount } from "./monitoringBodies.ts";
import { stackName } from "./names.ts";
import { endpointServices } from "./network.ts";
import { bundleGateway } from "../../gateway/bundle.ts";
import { describeCost } from "./prices.ts";

/** What a stack on AWS tells. */
export interface AwsOutputs {
  /** The OpenAI-compatible API. */
  url: pulumi.Output<string>;
  healthUrl: pulumi.Output<string>;
  /** The name under which the API reports the model. */
  model: string;
  /** The image that the tasks run, by digest. */
  image: pulumi.Output<string>;
  /** How many at least and at most. */
  replicas: string;
  /** The first key, a secret: `pulumi stack output apiKey --show-secrets`. */
  apiKey: pulumi.Output<string>;
  dashboardUrl: pulumi.Output<string>;
  /** The ECR repository. */
  repository: pulumi.Output<string>;
  /** The name of the ECS cluster and of the service in it. */
  service: pulumi.Output<string>;
  /** In dollars, by a table with a date. */
  costPerMonth: string;
}

/** What was checked before. */
export interface AwsTargetArgs {
  settings: AwsSettings;
  stackId: StackId;
  model: Model;
  account: Account;
}

/** The aws target: an ECS service on CPU-optimised instances behind a load balancer. */
export async function awsTarget({ stackId, settings, model, account }: AwsTargetArgs): Promise<AwsOutputs> {
  const tags = stackTags();
  const { slots } = account;
  const server = { ...settings, parallel: slots, modelAlias: model.alias, contextSize: model.contextSize };
  for (const warning of warnings(settings, account)) void pulumi.log.warn(warning);

  const { architecture, type } = account.instance;
  const platform = platformOf(architecture);
  const registry = new EcrRegistry("registry", { repositoryName: stackName(pulumi.getStack(), 256), tags });
  const imageCleanup = cleanUpImages("images", stackId);
  const bitnet = new BitnetImage("bitnet", {
    ...settings,
    stackId,
    cpuTarget: settings.cpuTarget === "native" ? cpuTargetOf(type, architecture).name : settings.cpuTarget,
    registry,
    model: model.source,
    modelSha256: model.sha256,
    platform,
    dependsOn: [imageCleanup],
  });
  await bundleGateway();
  const small = { stackId, registry, platform, baseImage: settings.baseImage };
  const afterwards = { dependsOn: [imageCleanup] };
  const fleet = new EcsFleet("fleet", {
    settings,
    account,
    registry,
    images: {
      server: bitnet.digest,
      gateway: smallImage("gateway", small, afterwards),
      balancer: smallImage("balancer", small, afterwards),
    },
    server,
    prompt: model.facts.prompt,
    modelBytes: model.facts.fileSize,
    memoryBytes: model.memoryNeed(slots).total,
    tags,
  });

  const url = pulumi.interpolate`${fleet.address}/v1`;
  new SmokeTest(
    "smoke-test",
    {
      url,
      apiKey: fleet.apiKey,
      modelAlias: model.alias,
      image: bitnet.digest,
      replicaIds: undefined,
      version: fleet.version,
      loadBalancerId: fleet.loadBalancerId,
      prompt: settings.smokePrompt,
      answer: settings.smokeAnswer,
    },
    { dependsOn: [fleet] },
  );
  return {
    url,
    healthUrl: pulumi.interpolate`${fleet.address}/health`,
    model: model.alias,
    image: bitnet.digest,
    replicas: `${settings.minReplicas} to ${settings.maxReplicas}`,
    apiKey: fleet.apiKey,
    dashboardUrl: fleet.dashboardUrl,
    repository: registry.repository,
    service: fleet.serviceName,
    costPerMonth: costPerMonth(settings, account, model),
  };
}

function warnings({ cpuTarget, domain, allowedCidrs }: AwsSettings, { instance }: Account): string[] {
  const open = allowedCidrs.some((cidr) => cidr.endsWith("/0"));
  return [
    ...instanceWarnings(instance, cpuTarget),
    ...(domain === undefined && open
      ? [
          "allowPlainHttp with allowedCidrs open to the whole internet: ANYONE ON THE WAY CAN READ THE API KEY, every prompt and every answer; set domain, or allowedCidrs to your own network",
        ]
      : []),
  ];
}

function costPerMonth(settings: AwsSettings, { instance }: Account, { facts }: Model): string {
  const { minReplicas, maxReplicas, vpcId, publicSubnetIds, internal, egress } = settings;
  const own = vpcId === undefined;
  const zones = own ? settings.zones : publicSubnetIds.length;
  return describeCost({
    instanceType: instance.type,
    vcpus: instance.vcpus,
    minReplicas,
    maxReplicas,
    volumeGb: volumeGb(facts.fileSize),
    zones,
    internal,
    endpoints: own && egress === "endpoints" ? endpointServices.length : 0,
    natGateways: own && egress === "nat" ? zones : 0,
    alarms: alarmCount + trackingAlarmCount,
    rateLimited: settings.rateLimit !== undefined,
  });
}
