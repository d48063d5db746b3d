import { readFile } from "node:fs/promises";
import { Header } from "tar";
import { bridged, driftedInputs, planned } from "../bridged.ts";
import { PartialFailure } from "../serve.ts";
import { textOf, type Properties } from "../values.ts";
import { client, isMissing, poll, reason, unlessMissing } from "./client.ts";
import { createOptions, endpoints, resources, type ContainerInputs } from "./containerOptions.ts";
import { containerSchema } from "./containerSchema.ts";
import { containerState } from "./containerState.ts";
import { ensureImage } from "./pull.ts";

/** docker.Container, without GPUs */
export const container = bridged({
  schema: containerSchema,
  autonamed: true,
  deleteBeforeReplace: true,

  create: async (inputs) => {
    const given = inputs as unknown as ContainerInputs;
    const unsupported = (["gpus", "deviceRequests"] as const).find((name) => given[name] !== undefined);
    if (unsupported) throw new Error(`the stand-in for docker.Container has no ${unsupported}`);
    await ensureImage(given.image, given.platform).catch((error: unknown) => {
      throw new Error(`Unable to create container with image ${given.image}: ${reason(error)}`);
    });
    const { id } = await client()
      .createContainer(createOptions(given))
      .catch((error: unknown) => {
        throw new Error(`Unable to create container: ${reason(error)}`);
      });
    const before = planned(containerSchema, inputs, {});
    try {
      const logs = await bringUp(id, given);
      return { id, outputs: { ...(await inspect(id, before)), ...(logs !== undefined && { containerLogs: logs }) } };
    } catch (error) {
      throw new PartialFailure(reason(error), { id, outputs: (await inspect(id, before)) ?? before });
    }
  },

  read: async (id, state, inputs) => {
    const outputs = await inspect(id, state);
    return outputs && { id, outputs, inputs: driftedInputs(containerSchema, inputs, outputs) };
  },

  change: async (id, inputs, state) => {
    const given = inputs as unknown as ContainerInputs;
    const changed = (names: readonly string[]): boolean =>
      names.some((name) => textOf(inputs[name]) !== textOf(state[name]));
    if (state["mustRun"] === false && given.mustRun !== false && given.start !== false) {
      await unlessAlready(client().getContainer(id).start());
    }
    if (!changed(CHANGEABLE)) return;
    const RestartPolicy = { Name: given.restart, MaximumRetryCount: given.maxRetryCount ?? 0 };
    await client()
      .getContainer(id)
      .update({ ...resources(given), RestartPolicy })
      .catch((error: unknown) => {
        throw new Error(`Unable to update a container: ${reason(error)}`);
      });
  },

  delete: async (id, state) => {
    const { attach, destroyGraceSeconds = 0, removeVolumes, rm } = state as Partial<ContainerInputs>;
    const target = client().getContainer(id);
    if (!attach) await unlessMissing(unlessAlready(target.stop({ t: destroyGraceSeconds })));
    await target.remove({ v: removeVolumes ?? true, force: true }).catch((error: unknown) => {
      if (!isMissing(error) && !reason(error).includes("is already in progress")) {
        throw new Error(`Error deleting container ${id}: ${reason(error)}`);
      }
    });
    await unlessMissing(target.wait({ condition: rm ? "removed" : "not-running" }));
  },
});

/** What Docker can change about a running container; other changes in place are about this resource, not the container. */
const CHANGEABLE = [
  ...["restart", "maxRetryCount", "cpuShares", "memory", "memoryReservation", "cpuSet", "memorySwap"],
  ...["deviceReadBps", "deviceReadIops", "deviceWriteBps", "deviceWriteIops"],
];

/** Takes a created container to where the program wants it; returns its output if the program asked for that. */
async function bringUp(id: string, given: ContainerInputs): Promise<string | undefined> {
  await joinNetworks(id, given);
  for (const upload of given.uploads ?? []) await copyInto(id, upload);
  if (given.start !== false) {
    await client()
      .getContainer(id)
      .start()
      .catch((error: unknown) => {
        throw new Error(`Unable to start container: ${reason(error)}`);
      });
    if (given.wait) await untilHealthy(id, given.waitTimeout ?? 60);
  }
  if (!given.attach) return undefined;
  await client().getContainer(id).wait();
  return given.logs ? logs(id, given.tty ?? false) : undefined;
}

async function joinNetworks(id: string, given: ContainerInputs): Promise<void> {
  const joined = endpoints(given);
  if (joined.length === 0) return;
  await client()
    .getNetwork("bridge")
    .disconnect({ Container: id })
    .catch((error: unknown) => {
      if (reason(error).includes("is not connected to the network bridge")) return;
      throw new Error(`Unable to disconnect the default network: ${reason(error)}`);
    });
  for (const { network, settings } of joined) {
    await client()
      .getNetwork(network)
      .connect({ Container: id, EndpointConfig: settings })
      .catch((error: unknown) => {
        throw new Error(`Unable to connect to network '${network}': ${reason(error)}`);
      });
  }
}

async function copyInto(id: string, upload: NonNullable<ContainerInputs["uploads"]>[number]): Promise<void> {
  const { file, content, contentBase64, source, permissions, executable } = upload;
  const given = [content, contentBase64, source].filter(Boolean);
  if (given.length !== 1) {
    const which = given.length === 0 ? "one" : "only one";
    const verb = given.length === 0 ? "must be" : "can be";
    throw new Error(`error with upload content: ${which} of 'content', 'content_base64', or 'source' ${verb} set`);
  }
  const data = source
    ? await readFile(source)
    : Buffer.from(content ?? contentBase64 ?? "", content ? "utf8" : "base64");
  const mode = permissions ? parseInt(permissions, 8) : executable ? 0o744 : 0o644;
  await client()
    .getContainer(id)
    .putArchive(tarOf(file, mode, data), { path: "/" });
}

/** An archive of one file: its header, its bytes filled up to whole blocks of 512, and two empty blocks. */
function tarOf(path: string, mode: number, data: Buffer): Buffer {
  const header = new Header({
    path: path.replace(/^\//, ""),
    mode,
    size: data.length,
    mtime: new Date(),
    type: "File",
  });
  header.encode();
  return Buffer.concat([
    header.block ?? Buffer.alloc(0),
    data,
    Buffer.alloc(1024 + ((512 - (data.length % 512)) % 512)),
  ]);
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

/** What the container printed; without a terminal every chunk of it has a header of 8 bytes, the last 4 its length. */
async function logs(id: string, tty: boolean): Promise<string> {
  const printed = await client().getContainer(id).logs({ stdout: true, stderr: true });
  if (tty) return printed.toString("utf8");
  const chunks: Buffer[] = [];
  for (let at = 0; at + 8 <= printed.length;) {
    const end = at + 8 + printed.readUInt32BE(at + 4);
    chunks.push(printed.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(chunks).toString("utf8");
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
