import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { bundleDashboard } from "../../dashboard/bundle.ts";
import { bundleGateway } from "../../gateway/bundle.ts";
import { BitnetImage } from "../image/bitnetImage.ts";
import { cleanUpImages } from "../image/imageCleanup.ts";
import { dockerPlatform } from "../image/platform.ts";
import { removeOldImages } from "../image/oldImages.ts";
import type { Registry } from "../image/registry.ts";
import type { MemoryNeed } from "../model/memory.ts";
import type { Model } from "../model/model.ts";
import { SmokeTest } from "../serving/smokeTest.ts";
import type { NamedKey } from "../settings/apiKeys.ts";
import type { DockerSettings } from "../settings/docker.ts";
import { isLoopback } from "../settings/ipRanges.ts";
import type { StackId } from "../stackId.ts";
import { tagsInRegistry, tagsOnEngine } from "./builtImages.ts";
import type { DockerFleetArgs } from "./fleet.ts";
import { DockerFleet } from "./fleet.ts";
import type { Machine } from "./machine.ts";
import { hasRoomForNext } from "./machine.ts";
import { mayRaiseMemlock } from "./memlock.ts";
import { offNetwork } from "./networkDrift.ts";
import { ExternalRegistry, LocalRegistry, localRepository } from "./registry.ts";
import type { StackImages } from "./shared.ts";

/** The outputs of a stack on this machine's Docker Engine. */
export interface DockerOutputs {
  /** The OpenAI-compatible API. */
  url: string;
  healthUrl: string;
  /** The load balancer's statistics page; on this machine only. */
  statsUrl: string;
  /** The same in Prometheus' text format. */
  metricsUrl: string;
  /** The dashboard; on this machine only. Absent if `monitoring` is false. */
  dashboardUrl?: string;
  /** The model's name in the API. */
  model: string;
  /** The replicas' image, by digest. */
  image: pulumi.Output<string>;
  replicas: number;
  /** The first key. A secret: `pulumi stack output apiKey --show-secrets`. Absent if no key is required. */
  apiKey?: pulumi.Output<string>;
}

/** The results of the earlier checks. */
export interface DockerTargetArgs {
  stackId: StackId;
  settings: DockerSettings;
  model: Model;
  machine: Machine;
  /** Requests that a replica answers at once. */
  slots: number;
  /** The certificate, the rest of its chain and its key, in PEM format. Undefined: plain HTTP. */
  tls: string | undefined;
}

/** The docker target: replicas and a load balancer on this machine's Docker Engine. */
export async function dockerTarget(args: DockerTargetArgs): Promise<DockerOutputs> {
  const { stackId, settings, model, tls } = args;
  const apiKeys = chooseApiKeys(settings);
  const apiKey = apiKeys && pulumi.secret(apiKeys.apply(([first]) => first?.key ?? ""));
  await bundleGateway();
  if (settings.monitoring) await bundleDashboard();
  const cleanup = cleanUpImages("images", stackId);
  const images = { stackId, cleanup, onEngine: await tagsOnEngine(), baseImage: settings.baseImage };
  const registry = await chooseRegistry(settings, images);
  const bitnet = new BitnetImage("bitnet", {
    ...settings,
    stackId,
    registry,
    model: model.source,
    modelSha256: model.sha256,
    platform: dockerPlatform(),
    dependsOn: [cleanup],
  });
  const fleet = new DockerFleet("fleet", await fleetArgs(args, { image: bitnet.digest, images, apiKeys }));
  const outputs = outputsOf(settings, model, tls !== undefined, { image: bitnet.digest, apiKey });
  const smokeTest = new SmokeTest("smoke-test", {
    url: outputs.url,
    apiKey,
    modelAlias: model.alias,
    image: bitnet.digest,
    replicaIds: fleet.replicaIds,
    loadBalancerId: fleet.loadBalancerId,
    gatewayIds: fleet.gatewayIds,
    prompt: settings.smokePrompt,
    answer: settings.smokeAnswer,
  });
  removeOldImages(
    "old-images",
    { stackId, image: bitnet.digest, registry: registry instanceof LocalRegistry ? registry.containerId : undefined },
    { dependsOn: smokeTest },
  );
  return outputs;
}

async function fleetArgs(
  { stackId, settings, model, machine, slots, tls }: DockerTargetArgs,
  made: Pick<DockerFleetArgs, "image" | "images" | "apiKeys">,
): Promise<DockerFleetArgs> {
  const memory = model.memoryNeed(slots);
  const common = { ...settings, parallel: slots, modelAlias: model.alias, contextSize: model.contextSize };
  return {
    ...settings,
    ...made,
    offNetwork: await offNetwork(stackId.known),
    cores: machine.cores,
    pinned: machine.cpuIdsKnown,
    memlock: settings.memlock ?? ((await mayRaiseMemlock()) ? "unlimited" : "inherit"),
    dashboardPort: settings.monitoring ? settings.monitoringPort : undefined,
    startFirst: mayStartFirst(settings, memory, machine),
    server: common,
    memoryBytes: memory.total,
    gateway: {
      ...common,
      prompt: model.facts.prompt,
      allowedHosts: settings.allowedHosts ?? (made.apiKeys === undefined ? ownNames(settings.bindAddress) : undefined),
    },
    tls: tls === undefined ? undefined : pulumi.secret(tls),
  };
}

/**
 * Whether a new replica can start before the old one stops. If that is impossible for the only replica, it warns the
 * user.
 */
function mayStartFirst({ replicas }: DockerSettings, memory: MemoryNeed, machine: Machine): boolean {
  const startFirst = hasRoomForNext(machine, memory);
  if (replicas === 1 && !startFirst) {
    void pulumi.log.warn(
      "This machine does not have memory for two replicas: if this update replaces the only one, " +
        "no request is answered from when it stops until the new one has loaded its model.",
    );
  }
  return startFirst;
}

function outputsOf(
  { bindAddress, port, statsPort, monitoring, monitoringPort, replicas }: DockerSettings,
  model: Model,
  isHttps: boolean,
  { image, apiKey }: Pick<DockerOutputs, "image"> & { apiKey: pulumi.Output<string> | undefined },
): DockerOutputs {
  const address = `${isHttps ? "https" : "http"}://${hostInUrl(bindAddress)}:${port}`;
  const statsUrl = `http://127.0.0.1:${statsPort}/`;
  return {
    url: `${address}/v1`,
    healthUrl: `${address}/health`,
    statsUrl,
    metricsUrl: `${statsUrl}metrics`,
    ...(monitoring ? { dashboardUrl: `http://127.0.0.1:${monitoringPort}/user/` } : {}),
    model: model.alias,
    image,
    replicas,
    // Pulumi warns of undefined outputs.
    ...(apiKey === undefined ? {} : { apiKey }),
  };
}

/**
 * Secrets. Undefined: no key is required. That is so on loopback unless keys are set; elsewhere there is always a key.
 */
function chooseApiKeys({ apiKeys, bindAddress }: DockerSettings): pulumi.Output<NamedKey[]> | undefined {
  if (apiKeys.length > 0) return pulumi.secret(apiKeys);
  if (isLoopback(bindAddress)) return undefined;
  const { result } = new random.RandomPassword("api-key", { length: 40, special: false });
  return pulumi.secret(result.apply((key) => [{ name: "key-1", key, limits: {} }]));
}

/** Without a key, a web page must not be able to reach the API under its own name: gateway/src/rules/host.ts. */
function ownNames(bindAddress: string): string[] {
  return [...new Set(["localhost", "127.0.0.1", "[::1]", hostInUrl(bindAddress)])];
}

async function chooseRegistry(settings: DockerSettings, images: StackImages): Promise<Registry> {
  const { registry, registryPort: port, registryUsername, registryPassword } = settings;
  if (registry === "local") {
    const tags = await tagsInRegistry(localRepository(port), images.stackId.known, images.onEngine);
    return new LocalRegistry("registry", { port, images, tags });
  }
  const login =
    registryUsername === undefined || registryPassword === undefined
      ? undefined
      : { username: registryUsername, password: registryPassword };
  return new ExternalRegistry({ repository: registry, login });
}

/** The address that a client on this machine connects to: "any" cannot be connected to. */
function hostInUrl(bound: string): string {
  const reachable = bound === "0.0.0.0" ? "127.0.0.1" : bound === "::" ? "::1" : bound;
  return reachable.includes(":") ? `[${reachable}]` : reachable;
}
