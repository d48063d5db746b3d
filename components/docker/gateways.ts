import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { dnsNames } from "../serving/haproxy.ts";
import type { GatewayOptions } from "../serving/gateway.ts";
import { apiKeysValue, apiKeysVariable, gatewayEnvironment } from "../serving/gateway.ts";
import { gatewayGrace, gatewayReadyTimeout } from "../serving/timeouts.ts";
import type { NamedKey } from "../settings/apiKeys.ts";
import { rejoin } from "./networkDrift.ts";
import type { StackImages } from "./shared.ts";
import { buildLocally, common, environment } from "./shared.ts";

export interface GatewaysArgs {
  options: Omit<GatewayOptions, "upstream">;
  /** Secrets, one of which is required. Undefined: anyone who reaches the port may ask. */
  apiKeys: pulumi.Output<readonly NamedKey[]> | undefined;
  /** The network that they share with HAProxy, and nothing else. */
  network: docker.Network;
  /** HAProxy's statistics on this machine, which tell whether it has found a gateway. */
  statsPort: number;
  images: StackImages;
  /** Containers to recreate: see {@link rejoin}. */
  offNetwork: readonly string[];
  /** What has to exist before the first gateway is replaced. */
  dependsOn: pulumi.Resource[];
}

/** Twice what 200 streams at once take (docker/gateway/Dockerfile). */
const gatewayMemory = 256 * 2 ** 20;

/**
 * Two gateways, so that one can be replaced, or die, without a refused request. They are replaced one after the other.
 * @returns the ids of their containers; known once all are ready
 */
export function gateways(name: string, args: GatewaysArgs, parent: pulumi.Resource): pulumi.Output<string[]> {
  const image = buildLocally(`${name}-gateway-image`, "gateway", args.images, parent);
  const ids: pulumi.Output<string>[] = [];
  const ready: command.local.Command[] = [];
  for (const server of dnsNames.gateways) {
    const gateway = new docker.Container(
      `${name}-${server}`,
      {
        image: image.repoDigest,
        envs: environment({
          ...gatewayEnvironment({ ...args.options, upstream: dnsNames.haproxy }),
          // Hashes, but of keys that a person may have made up.
          ...(args.apiKeys === undefined ? {} : { [apiKeysVariable]: pulumi.secret(args.apiKeys.apply(apiKeysValue)) }),
        }),
        networksAdvanced: [{ name: args.network.name, aliases: [server] }],
        ...rejoin(`${name}-${server}`, args.offNetwork),
        ...common(args.images.stackId, "gateway", gatewayMemory),
        destroyGraceSeconds: gatewayGrace,
      },
      {
        parent,
        dependsOn: [...args.dependsOn, ...ready.slice(-1)],
        // Otherwise old gateways, with old keys, would answer until the update ends.
        deleteBeforeReplace: true,
        replaceOnChanges: ["mustRun"],
      },
    );
    ids.push(gateway.id);
    ready.push(awaitGateway(`${name}-${server}-ready`, gateway, { ...args, server }, parent));
  }
  return pulumi.all(ready.map(({ id }) => id)).apply(() => pulumi.all(ids));
}

function awaitGateway(
  name: string,
  gateway: docker.Container,
  { statsPort, server }: { statsPort: number; server: string },
  parent: pulumi.Resource,
): command.local.Command {
  const what = { id: gateway.id, statsUrl: `http://127.0.0.1:${statsPort}/;csv`, server, timeout: gatewayReadyTimeout };
  return new command.local.Command(
    name,
    {
      create: "node commands/awaitGateway.ts",
      environment: { AWAIT_GATEWAY: pulumi.jsonStringify(what) },
      logging: "stderr",
    },
    { parent },
  );
}
