import type { ContainerInspectInfo } from "dockerode";
import { expect, test } from "vitest";
import { containerState } from "../../../offline/plugins/docker/containerState.ts";

// The official plugin has a list, too: null would have every container replaced by the first update with that plugin.
test("a container whose image has no command has an empty one", () => {
  const found = {
    ...{ Id: "0", Name: "/replica", HostConfig: {}, State: { Running: true } },
    Config: { Cmd: null, Entrypoint: ["entrypoint.sh"] },
    NetworkSettings: { Ports: {}, Networks: {} },
  } as unknown as ContainerInspectInfo;
  expect(containerState(found, {})).toMatchObject({ command: [], entrypoints: ["entrypoint.sh"] });
});
