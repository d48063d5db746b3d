import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { checkout } from "../../../cli/paths.ts";
import { ENGINES } from "../../../components/model/engines.ts";
import type { Engine } from "../../../components/model/engines.ts";

// That program and image take the same models is in checkers.test.ts.
test.each(Object.keys(ENGINES) as Engine[])("the image's entrypoint lets %s answer as many at once", async (engine) => {
  const functions = join(checkout, "docker/server/runtime/engine.sh");
  const { stdout } = await execa("bash", ["-c", `. ${functions} && max_parallel`], { env: { ENGINE: engine } });
  expect(Number(stdout)).toBe(ENGINES[engine].maxParallel);
});
