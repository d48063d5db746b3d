import { expect, test } from "vitest";
import { canRaiseMemlock } from "../../../cli/requirements/memlock.ts";
import type { Reply } from "./dockerEngine.ts";
import { playEngine } from "./dockerEngine.ts";

const whole = ["POST /containers/create", "POST /containers/probe/start", "DELETE /containers/probe"];

function engine(start: Reply) {
  return playEngine({
    "POST /containers/create": [201, { Id: "probe" }],
    "POST /containers/probe/start": start,
    "DELETE /containers/probe": [204],
  });
}

test("a daemon that starts the container may raise the limit; nobody waits for a container that may have ended", async () => {
  await using played = await engine([204]);
  expect(await canRaiseMemlock("debian", played.docker)).toBe(true);
  expect(played.requests).toEqual(whole);
});

test("a daemon that may not raise it says so, and the container is removed all the same", async () => {
  const message = "OCI runtime create failed: error setting rlimits for ready process: error setting rlimit type 8";
  await using played = await engine([500, { message }]);
  expect(await canRaiseMemlock("debian", played.docker)).toBe(false);
  expect(played.requests).toEqual(whole);
});

test("any other trouble is no answer", async () => {
  await using played = await engine([500, { message: "no space left on device" }]);
  await expect(canRaiseMemlock("debian", played.docker)).rejects.toThrow("no space left");
  expect(played.requests).toEqual(whole);
});
