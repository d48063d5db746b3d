import type { NetworkArgs } from "@pulumi/docker";
import type { Unwrap } from "@pulumi/pulumi";
import type { NetworkInspectInfo } from "dockerode";
import { bridged, driftedInputs, type Schema } from "../bridged.ts";
import type { Properties, Value } from "../values.ts";
import { client, poll, reason, unlessMissing } from "./client.ts";
import { fromLabels, labelField, toLabels } from "./labels.ts";

const schema: Schema = {
  name: {},
  labels: labelField,
  driver: { computed: true },
  options: { computed: true },
  internal: { computed: true },
  ipamConfigs: { output: true },
  ipamDriver: { output: true, default: "default" },
  scope: { output: true },
};

/** docker.Network, with the properties that this project uses */
export const network = bridged({
  type: "docker.Network",
  schema,
  autonamed: true,

  create: async (inputs) => {
    const given = inputs as unknown as Unwrap<NetworkArgs> & { name: string };
    const created = await client()
      .createNetwork({
        Name: given.name,
        Labels: toLabels(given.labels),
        Driver: given.driver,
        Options: given.options,
        Internal: given.internal,
        CheckDuplicate: true,
      })
      .catch((error: unknown) => {
        throw new Error(`Unable to create network: ${reason(error)}`);
      });
    return { id: created.id, outputs: (await inspect(created.id)) ?? {} };
  },

  read: async (id, _state, inputs) => {
    const outputs = await inspect(id);
    return outputs && { id, outputs, inputs: driftedInputs(schema, inputs, outputs) };
  },

  delete: async (id) => {
    // A container that was just stopped may hold its endpoint for a moment.
    const removed = await poll(() => remove(id), 1000, 30_000);
    if (!removed) throw new Error(`Unable to remove network ${id}: it still has active endpoints after 30 s`);
  },
});

async function remove(id: string): Promise<true | undefined> {
  try {
    await unlessMissing(client().getNetwork(id).remove());
    return true;
  } catch (error) {
    if (reason(error).includes("has active endpoints")) return undefined;
    throw error;
  }
}

async function inspect(id: string): Promise<Properties | undefined> {
  const found = await unlessMissing(client().getNetwork(id).inspect());
  return (
    found && {
      __meta: JSON.stringify({ schema_version: "1" }),
      id,
      name: found.Name,
      labels: fromLabels(found.Labels),
      driver: found.Driver,
      options: found.Options ?? {},
      internal: found.Internal,
      ipamDriver: found.IPAM?.Driver ?? "",
      ipamConfigs: (found.IPAM?.Config ?? []).map(ipamConfig),
      scope: found.Scope,
    }
  );
}

function ipamConfig(config: NonNullable<NonNullable<NetworkInspectInfo["IPAM"]>["Config"]>[number]): Value {
  const { Subnet = "", IPRange = "", Gateway = "", AuxiliaryAddresses = {} } = config;
  return { subnet: Subnet, ipRange: IPRange, gateway: Gateway, auxAddress: AuxiliaryAddresses as Properties };
}
