import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { BitnetImage } from "../image/bitnetImage.ts";
import { cleanUpImages } from "../image/imageCleanup.ts";
import { dockerPlatform } from "../image/platform.ts";
import type { Model } from "../model/model.ts";

import { ExternalRegistry, LocalRegistry } from "./registry.ts";
import type { Registry } from "../image/registry.ts";
import type { Settings } from "../settings/schema.ts";
import { isLoopback } from "../settings/schema.ts";
import { SmokeTest } from "../serving/smokeTest.ts";
import { DockerFleet } from "./fleet.ts";
import { hasRoomForNext, inspectMachine, requireMachine } from "./machine.ts";
import { mayRaiseMemlock } from "./memlock.ts";

/** What a stack on this machine's Docker Engine tells. */
export interface DockerOutputs {
  /** The OpenAI-compatible API. */
  url: string;
  healthUrl: string;
  /** The load balancer's statistics page, on this machine only. */
  statsUrl: string;
  /** The same as Prometheus text. */
  metricsUrl: string;
  /** The name under which the API reports the model. */
  model: string;
  /** The image that the replicas run, by digest. */
  image: pulumi.Output<string>;
  replicas: number;
  /** A secret: `pulumi stack output apiKey --show-secrets`. Absent where none is asked for. */
  apiKey?: pulumi.Output<string>;
}

/** The docker target: replicas and a load balancer on this machine's Docker Engine. */
export async function dockerTarget(settings: Settings, model: Model): Promise<DockerOutputs> {
  const { bindAddress, replicas } = settings;
  const ports = { port: settings.port, statsPort: settings.statsPort, registryPort: settings.registryPort };
  const machine = await inspectMachine(pulumi.getStack(), bindAddress, ports);
  requireMachine(machine, { ...settings, ports, memory: model.memory });
  const startFirst = hasRoomForNext(machine, model.memory);
  if (replicas === 1 && !startFirst) {
    await pulumi.log.warn(
      "This machine has not memory for two replicas: if this update replaces the only one, " +
        "nobody is answered from when it stops until the new one has loaded its model.",
    );
  }

  const apiKey = chooseApiKey(settings);
  const imageCleanup = cleanUpImages("images");
  const bitnet = new BitnetImage("bitnet", {
    ...settings,
    registry: chooseRegistry(settings, imageCleanup),
    model: model.source,
    platform: dockerPlatform(),
    dependsOn: [imageCleanup],
  });
  const fleet = new DockerFleet("fleet", {
    ...settings,
    image: bitnet.digest,
    cores: machine.cores,
    pinned: machine.cpuIdsKnown,
    memlock: settings.memlock ?? ((await mayRaiseMemlock()) ? "unlimited" : "inherit"),
    startFirst,
    server: { ...settings, modelAlias: model.alias, contextSize: model.contextSize },
    memoryBytes: model.memory.total,
    apiKey,
    imageCleanup,
  });

  const address = `http://${hostInUrl(bindAddress)}:${settings.port}`;
  const statsUrl = `http://127.0.0.1:${settings.statsPort}/`;
  new SmokeTest("smoke-test", {
    url: `${address}/v1`,
    apiKey,
    modelAlias: model.alias,
    image: bitnet.digest,
    replicaIds: fleet.replicaIds,
    loadBalancerId: fleet.loadBalancerId,
    prompt: settings.smokePrompt,
    answer: settings.smokeAnswer,
  });
  return {
    url: `${address}/v1`,
    healthUrl: `${address}/health`,
    statsUrl,
    metricsUrl: `${statsUrl}metrics`,
    model: model.alias,
    image: bitnet.digest,
    replicas,
    // Pulumi warns of outputs that are undefined.
    ...(apiKey === undefined ? {} : { apiKey }),
  };
}

/** None on loopback, unless one is set; elsewhere there is always one. */
function chooseApiKey({ apiKey, bindAddress }: Settings): pulumi.Output<string> | undefined {
  if (apiKey !== undefined) return pulumi.secret(apiKey);
  if (isLoopback(bindAddress)) return undefined;
  return pulumi.secret(new random.RandomPassword("api-key", { length: 40, special: false }).result);
}

function chooseRegistry(settings: Settings, imageCleanup: pulumi.Resource): Registry {
  const { registry, registryPort, registryUsername, registryPassword, baseImage } = settings;
  if (registry === "local") return new LocalRegistry("registry", { port: registryPort, baseImage, imageCleanup });
  const login =
    registryUsername === undefined || registryPassword === undefined
      ? undefined
      : { username: registryUsername, password: registryPassword };
  return new ExternalRegistry({ repository: registry, login });
}

/** Where a client on this machine reaches an address: "any" is not one that can be connected to. */
function hostInUrl(bound: string): string {
  const reachable = bound === "0.0.0.0" ? "127.0.0.1" : bound === "::" ? "::1" : bound;
  return reachable.includes(":") ? `[${reachable}]` : reachable;
}
