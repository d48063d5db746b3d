import type { VolumeArgs } from "@pulumi/docker";
import type { Unwrap } from "@pulumi/pulumi";
import { bridged, driftedInputs, type Schema } from "../bridged.ts";
import type { Properties } from "../values.ts";
import { client, poll, reason, unlessMissing } from "./client.ts";
import { fromLabels, labelField, toLabels } from "./labels.ts";

const schema: Schema = {
  name: { computed: true },
  labels: labelField,
  driver: { output: true },
  mountpoint: { output: true },
};

/** docker.Volume, with the properties that this project uses */
export const volume = bridged({
  type: "docker.Volume",
  schema,
  autonamed: true,

  create: async (inputs) => {
    const given = inputs as unknown as Unwrap<VolumeArgs> & { name: string };
    await client()
      .createVolume({ Name: given.name, Labels: toLabels(given.labels) })
      .catch((error: unknown) => {
        throw new Error(`Unable to create volume: ${reason(error)}`);
      });
    return { id: given.name, outputs: (await inspect(given.name)) ?? {} };
  },

  read: async (id, _state, inputs) => {
    const outputs = await inspect(id);
    return outputs && { id, outputs, inputs: driftedInputs(schema, inputs, outputs) };
  },

  delete: async (id) => {
    const removed = await poll(() => remove(id), 1000, 30_000);
    if (!removed) throw new Error(`Unable to remove volume ${id}: it is still in use after 30 s`);
  },
});

async function remove(id: string): Promise<true | undefined> {
  try {
    await unlessMissing(client().getVolume(id).remove({ force: true }));
    return true;
  } catch (error) {
    if (reason(error).includes("volume is in use")) return undefined;
    throw error;
  }
}

async function inspect(name: string): Promise<Properties | undefined> {
  const found = await unlessMissing(client().getVolume(name).inspect());
  return (
    found && {
      __meta: JSON.stringify({ schema_version: "1" }),
      id: name,
      name: found.Name,
      labels: fromLabels(found.Labels),
      driver: found.Driver,
      mountpoint: found.Mountpoint,
    }
  );
}
