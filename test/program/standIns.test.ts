import { expect, test } from "vitest";
import { container } from "../../offline/plugins/docker/container.ts";
import { image } from "../../offline/plugins/docker/image.ts";
import { network } from "../../offline/plugins/docker/network.ts";
import { volume } from "../../offline/plugins/docker/volume.ts";
import type { Resource } from "../../offline/plugins/provider.ts";
import type { Properties } from "../../offline/plugins/values.ts";
import { runProgram } from "./program.ts";

const standIns: Readonly<Record<string, Resource>> = {
  "docker:index/container:Container": container,
  "docker:index/image:Image": image,
  "docker:index/network:Network": network,
  "docker:index/volume:Volume": volume,
};
const context = { name: "it", seed: new Uint8Array(), preview: true, log: () => undefined, progress: () => undefined };

test.for<Record<string, string>>([{ replicas: "1", memlock: "unlimited" }, { bindAddress: "0.0.0.0" }])(
  "on a closed network, the stand-ins know every property that the program sets: %j",
  async (settings) => {
    const checked = new Set<string>();
    const create = async (type: string, _name: string, inputs: Record<string, unknown>) => {
      if (await standIns[type]?.check(inputs as Properties, {}, context)) checked.add(type);
      return undefined;
    };
    await runProgram(settings, false, { create });
    expect(checked).toEqual(new Set(Object.keys(standIns)));
  },
);
