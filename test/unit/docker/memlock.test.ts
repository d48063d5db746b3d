import { expect, test } from "vitest";
import { mayRaiseMemlock } from "../../../components/docker/memlock.ts";
import type { Reply } from "../cli/dockerEngine.ts";
import { playEngine } from "../cli/dockerEngine.ts";

const id = `sha256:${"0".repeat(64)}`;
const whole = [
  "POST /images/create",
  "POST /containers/create",
  "POST /containers/probe/start",
  "DELETE /containers/probe",
  `DELETE /images/${id}`,
];

function engine(start: Reply) {
  return playEngine({
    "POST /images/create": [200, { status: id }],
    "POST /containers/create": [201, { Id: "probe" }],
    "POST /containers/probe/start": start,
    "DELETE /containers/probe": [204],
    [`DELETE /images/${id}`]: [200, []],
  });
}

test("a daemon that looks for the program has raised the limit; container and image are removed", async () => {
  await using played = await engine([400, { message: 'exec: "/nothing": stat /nothing: no such file or directory' }]);
  expect(await mayRaiseMemlock(played.docker)).toBe(true);
  expect(played.requests).toEqual(whole);
});

test("a daemon that may not raise it says so, and container and image are removed all the same", async () => {
  const message = "OCI runtime create failed: error setting rlimits for ready process: error setting rlimit type 8";
  await using played = await engine([500, { message }]);
  expect(await mayRaiseMemlock(played.docker)).toBe(false);
  expect(played.requests).toEqual(whole);
});

test("any other trouble is no answer", async () => {
  await using played = await engine([500, { message: "no space left on device" }]);
  await expect(mayRaiseMemlock(played.docker)).rejects.toThrow("no space left");
  expect(played.requests).toEqual(whole);
});
