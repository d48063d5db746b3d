import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { checkout } from "../../../cli/paths.ts";
import { ENGINES, acceptedTypes } from "../../../components/model/engines.ts";
import type { Engine } from "../../../components/model/engines.ts";

// The image guards itself where there is no Pulumi, with rules of its own in Perl and in shell: they are the same rules.
const engines = Object.keys(ENGINES) as Engine[];
const perl = readFileSync(join(checkout, "docker/server/build/check-gguf.pl"), "utf8");

function words(list = ""): string[] {
  return [...list.matchAll(/[\w.-]+/g)].map(([word]) => word).sort();
}

test("the image's check takes the same engines", () => {
  const table = /%engines = \((.*?)\n\);/s.exec(perl)?.[1] ?? "";
  expect([...table.matchAll(/'([\w.]+)' +=>/g)].map(([, name]) => name).sort()).toEqual([...engines].sort());
});

test.each(engines)("the image's check takes the same models for %s", (engine) => {
  const row = new RegExp(`'${engine}' +=> \\{types => \\[(.*?)\\], tokenizers => \\[(.*?)\\]\\}`).exec(perl);
  expect(words(row?.[1])).toEqual([...acceptedTypes(engine)].sort());
  expect(words(row?.[2])).toEqual([...ENGINES[engine].unknownTokenizers].sort());
  const architectures = /@architectures = qw\((.*?)\)/.exec(perl);
  expect(words(architectures?.[1])).toEqual([...ENGINES[engine].architectures].sort());
});

test.each(engines)("the image's entrypoint lets %s answer as many at once", async (engine) => {
  const functions = join(checkout, "docker/server/runtime/engine.sh");
  const { stdout } = await execa("bash", ["-c", `. ${functions} && max_parallel`], { env: { ENGINE: engine } });
  expect(Number(stdout)).toBe(ENGINES[engine].maxParallel);
});
