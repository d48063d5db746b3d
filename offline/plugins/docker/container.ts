import { bridged, driftedInputs, planned } from "../bridged.ts";
import { PartialFailure } from "../provider.ts";
import { textOf, type Properties } from "../values.ts";
import { client, isMissing, poll, reason, unlessMissing } from "./client.ts";
import {
  containerProperties,
  containerState,
  createOptions,
  liveOptions,
  type ContainerInputs,
} from "./containerProperties.ts";
import { ensureImage } from "./pull.ts";

/** docker.Container, with the properties that this project uses. */
export const container = bridged({
  type: "docker.Container",
  schema: containerProperties,
  autonamed: true,
  deleteBeforeReplace: true,

  create: async (inputs) => {
    const given = inputs as unknown as ContainerInputs;
    const failed = (what: string) => (error: unknown) => {
      throw new Error(`Unable to create container${what}: ${reason(error)}`);
    };
    await ensureImage(given.image).catch(failed(` with image ${given.image}`));
    const { id } = await client().createContainer(createOptions(given)).catch(failed(""));
    const before = planned(containerProperties, inputs, {});
    try {
      await bringUp(id, given);
      return { id, outputs: (await inspect(id, before)) ?? before };
    } catch (error) {
      throw new PartialFailure(reason(error), { id, outputs: (await inspect(id, before)) ?? before });
    }
  },

  read: async (id, state, inputs) => {
    const outputs = await inspect(id, state);
    return outputs && { id, outputs, inputs: driftedInputs(containerProperties, inputs, outputs) };
  },

  change: async (id, inputs, state) => {
    const given = inputs as unknown as ContainerInputs;
    const target = client().getContainer(id);
    if (state["mustRun"] === false && given.mustRun !== false) await unlessAlready(target.start());
    const options = liveOptions(given, (name) => textOf(inputs[name]) !== textOf(state[name]));
    await (options && target.update(options))?.catch((error: unknown) => {
      throw new Error(`Unable to update a container: ${reason(error)}`);
    });
  },

  delete: async (id, state) => {
    const { destroyGraceSeconds = 0 } = state as Partial<ContainerInputs>;
    const target = client().getContainer(id);
    await unlessMissing(unlessAlready(target.stop({ t: destroyGraceSeconds })));
    await target.remove({ v: true, force: true }).catch((error: unknown) => {
      if (!isMissing(error) && !reason(error).includes("is already in progress")) {
        throw new Error(`Error deleting container ${id}: ${reason(error)}`);
      }
    });
    await unlessMissing(target.wait({ condition: "not-running" }));
  },
});

/** Takes a created container to where the program wants it. */
async function bringUp(id: string, given: ContainerInputs): Promise<void> {
  await joinNetworks(id, given.networksAdvanced ?? []);
  await client()
    .getContainer(id)
    .start()
    .catch((error: unknown) => {
      throw new Error(`Unable to start container: ${reason(error)}`);
    });
  if (given.wait) await untilHealthy(id, given.waitTimeout ?? 60);
}

/** The container joins these networks instead of Docker's own. */
async function joinNetworks(id: string, networks: NonNullable<ContainerInputs["networksAdvanced"]>): Promise<void> {
  if (networks.length === 0) return;
  await client()
    .getNetwork("bridge")
    .disconnect({ Container: id })
    .catch((error: unknown) => {
      if (reason(error).includes("is not connected to the network bridge")) return;
      throw new Error(`Unable to disconnect the default network: ${reason(error)}`);
    });
  for (const { name, aliases = [] } of networks) {
    await client()
      .getNetwork(name)
      .connect({ Container: id, EndpointConfig: { Aliases: aliases } })
      .catch((error: unknown) => {
        throw new Error(`Unable to connect to network '${name}': ${reason(error)}`);
      });
  }
}

async function untilHealthy(id: string, seconds: number): Promise<void> {
  const healthy = await poll(
    async () => {
      const { State } = await client().getContainer(id).inspect();
      if (!State.Health) {
        throw new Error(
          "you have supplied a 'wait' argument, but the container does not have a healthcheck defined. " +
            "Please remove the 'wait' argument or add a 'healthcheck' attribute",
        );
      }
      return State.Health.Status === "healthy" || undefined;
    },
    1000,
    seconds * 1000,
  );
  if (!healthy) throw new Error("container failed to be in healthy state");
}

/** Docker's 304: the container already is as asked. */
async function unlessAlready(request: Promise<unknown>): Promise<void> {
  await request.catch((error: unknown) => {
    if (!(error instanceof Error && "statusCode" in error && error.statusCode === 304)) throw error;
  });
}

async function inspect(id: string, before: Properties): Promise<Properties | undefined> {
  const found = await unlessMissing(client().getContainer(id).inspect());
  return found && containerState(found, before);
}
